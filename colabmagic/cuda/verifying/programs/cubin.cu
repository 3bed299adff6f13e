// What is compiled to see whether nvcc makes code for a GPU: no header is needed.
extern "C" __global__ void colabmagic_probe(float *x) { *x = 2.0f * *x + 1.0f; }
