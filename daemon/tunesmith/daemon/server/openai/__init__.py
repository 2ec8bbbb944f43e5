"""What we serve of OpenAI's HTTP interface: every field is listed and bounded, every error has OpenAI's shape."""
