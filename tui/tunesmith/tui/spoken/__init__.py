"""The wizard as plain lines, for screen readers and pipes: numbered questions, sentences, nothing that moves."""
