"""Fused parts of a training step. Each is proven equal to the plain part on this machine before it is used."""
