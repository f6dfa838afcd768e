/*
 * Tests that run on a device: without arguments on the processor; "cuda" has them make networks and stores on the first
 * GPU, and a second argument names the only ones to run ("*" and "?" as in a shell).
 */
#ifndef EK_TESTS_NN_ON_DEVICE_H
#define EK_TESTS_NN_ON_DEVICE_H

enum { ON_DEVICE_SKIPPED = 77 };

/* At the start of main. Returns 0, or what main is to return where no GPU can be used, which a line has told. */
int on_device(int argc, char **argv);
/* The same of tests that only a GPU can run. */
int on_gpu(void);

#endif
