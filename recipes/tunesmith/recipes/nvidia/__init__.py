"""NVIDIA GPUs: what NVML says about one, which of them CUDA shows a process, and what limits training there."""
