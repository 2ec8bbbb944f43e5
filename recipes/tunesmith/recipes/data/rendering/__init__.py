"""A row as the model sees it: text, tokens, and which of them are trained."""
