"""What to say about a library that the user's file imports and that an extra of fspop brings."""

_EXTRAS = {
    "accelerate": "transformers",
    "lightning": "lightning",
    "matplotlib": "plots",
    "pytorch_lightning": "lightning",
    "sklearn": "examples",
    "transformers": "transformers",
}


def extra_for(error: BaseException) -> str:
    """`; install it with …` for a missing module that an extra brings, "" for any other error."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    extra = _EXTRAS.get((name or "").partition(".")[0])
    return f"; install it with pip install 'fspop[{extra}]'" if extra else ""
