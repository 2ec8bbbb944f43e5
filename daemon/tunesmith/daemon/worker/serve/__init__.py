"""The process that answers from one model: requests in, answers out, whichever engine runs it."""
