/*
 * Memory: allocations whose sizes multiply through an overflow check, and a growable buffer.
 * Everything is freed with free(), except ek_aligned blocks, which are too (POSIX).
 */
#ifndef EK_BASE_MEMORY_H
#define EK_BASE_MEMORY_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* `*out` = zeroed array of `count` items of `size` bytes; a valid pointer even for 0 bytes.
 * EK_ENOMEM, with `*out` NULL, if it does not fit. `out` is the address of any object pointer. */
int ek_alloc(void *out, size_t count, size_t size);

/* As ek_alloc, aligned to 64 bytes and not zeroed. */
int ek_alloc_aligned(void *out, size_t count, size_t size);

/* Grow or shrink `*pointer` (address of any object pointer) to `count` items of `size` bytes;
 * new bytes are not zeroed. On EK_ENOMEM the old block stays. */
int ek_resize(void *pointer, size_t count, size_t size);

/* `*out` = a copy of `text` (NUL-terminated). */
int ek_copy_string(char **out, const char *text);

/* `*out` = a new string made by printf rules. */
int ek_format(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The largest resident size this process has had, in bytes. */
uint64_t ek_memory_peak(void);
/* Bytes that can still be had without swapping (Linux's MemAvailable); 0 if that is not known. */
uint64_t ek_memory_available(void);

/* A growable array of bytes that is always followed by a NUL (not counted in `size`),
 * so that text in it can be read as a string. Start with `= { 0 }`. */
struct ek_buffer {
	char *data;      /* owned; NULL while nothing was reserved */
	size_t size;     /* bytes in use */
	size_t capacity; /* bytes reserved, the NUL included */
};

/* Make room for `extra` more bytes. */
int ek_buffer_reserve(struct ek_buffer *b, size_t extra);
int ek_buffer_append(struct ek_buffer *b, const void *bytes, size_t size);
int ek_buffer_text(struct ek_buffer *b, const char *text);
int ek_buffer_printf(struct ek_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forget the content, keep the room. */
void ek_buffer_clear(struct ek_buffer *b);
void ek_buffer_release(struct ek_buffer *b);

#endif
