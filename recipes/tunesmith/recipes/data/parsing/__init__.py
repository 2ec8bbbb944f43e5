"""A row taken apart: which shape it has, and what its columns, messages, tools and media are."""
