"""Make a CUDA root out of unpacked parts; `colabmagic.cuda.rooting.assemble` is the entry."""
