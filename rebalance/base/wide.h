/*
 * EK_WIDE before a function: one body, compiled for each width of vector registers; the loader takes the widest that
 * the processor has.
 */
#ifndef EK_BASE_WIDE_H
#define EK_BASE_WIDE_H

/* Not under the sanitizers, whose runtime is not there yet when the loader asks. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
	!defined(__SANITIZE_THREAD__)
#define EK_WIDE __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define EK_WIDE
#endif

#endif
