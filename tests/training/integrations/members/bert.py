"""A tiny BERT in a transformers.Trainer: AdamW, warm-up and cosine, dropout, shuffled."""

import os
import tempfile

import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from fspop import Choice, Experiment, LogUniform, Uniform
from fspop.mutators import TruncationSelection
from fspop.training.integrations import TransformersTask

IDS = torch.randint(1, 20, (112, 6), generator=torch.Generator().manual_seed(0))
CONFIG = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


class Rows(Dataset):
    def __init__(self, ids):
        self.ids = ids

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        ids, noise = self.ids[index], torch.randint(0, 2, (6,))  # the random numbers matter
        return {"input_ids": ids % 19 + noise, "labels": int(ids.sum() > 60)}


class Dying(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == int(os.environ.get("DIE_AT", "-1")):
            os.kill(os.getpid(), 9)


class Member(TransformersTask):
    def build(self, context):
        model = BertForSequenceClassification(
            BertConfig(**CONFIG, intermediate_size=16, max_position_embeddings=8)
        )
        arguments = TrainingArguments(
            tempfile.gettempdir(), lr_scheduler_type="cosine", warmup_steps=10, logging_steps=5,
            weight_decay=0.01, use_cpu=True, report_to="none",
        )  # fmt: skip
        callbacks = [Dying()] if context.member == 1 else []
        train, val = Rows(IDS[:80]), Rows(IDS[80:])
        return Trainer(model, arguments, train_dataset=train, eval_dataset=val, callbacks=callbacks)


experiment = Experiment(
    task=Member, members=3, mode="min", metric="eval_loss", total_steps=60, report_every=6, seed=3,
    space={
        "learning_rate": LogUniform(1e-4, 0.03),
        "weight_decay": LogUniform(1e-3, 0.1),
        "dropout": Uniform(0.0, 0.5),
        "batch_size": Choice([8, 10]),
    },
    mutator=TruncationSelection(interval=18, fraction=0.34, synchronous=True),
)  # fmt: skip
