"""What torch finds on this machine and how fast it is there, measured in a process that ends afterwards."""
