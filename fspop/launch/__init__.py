"""Starting workers: a supervisor for one machine. Knows processes, nothing about training."""

from fspop.launch.supervisor import Event, Supervisor

__all__ = ["Event", "Supervisor"]
