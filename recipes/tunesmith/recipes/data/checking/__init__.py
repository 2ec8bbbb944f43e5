"""What a check tells a person about data, and the fixes it offers."""
