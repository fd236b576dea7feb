"""Looking at a run: reads manifest, state, heartbeats and history, and writes nothing."""
