"""The daemon that claims a member, trains it, reports, and survives being killed."""
