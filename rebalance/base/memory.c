#include "rebalance/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "rebalance/base/error.h"
#include "rebalance/base/locale.h"

enum { CACHE_LINE = 64, LARGE_PAGE = 2 << 20, LARGE_BLOCK = 8 << 20 };

static int total_bytes(size_t *total, size_t count, size_t size)
{
	if (__builtin_mul_overflow(count, size, total) || *total > PTRDIFF_MAX)
		return ek_fail(EK_ENOMEM, "no memory for %zu items of %zu bytes", count, size);
	if (*total == 0)
		*total = 1;
	return 0;
}

/* Callers hold pointers of many types; memcpy stores one without breaking aliasing rules. */
static int hand_over(void *out, void *block, size_t total, int rc)
{
	memcpy(out, &block, sizeof block);
	if (rc < 0)
		return rc;
	return block != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for %zu bytes", total);
}

int ek_alloc(void *out, size_t count, size_t size)
{
	size_t total;
	int rc = total_bytes(&total, count, size);

	return hand_over(out, rc == 0 ? calloc(1, total) : NULL, total, rc);
}

/* Large blocks take large pages where the system has them: with small ones, matrix products wait for page tables. */
static void *aligned_block(size_t total)
{
	const size_t alignment = total >= LARGE_BLOCK ? LARGE_PAGE : CACHE_LINE;
	void *block = aligned_alloc(alignment, (total + alignment - 1) / alignment * alignment);

#ifdef MADV_HUGEPAGE
	if (block != NULL && total >= LARGE_BLOCK)
		(void)madvise(block, total, MADV_HUGEPAGE); /* a wish; without it all works the same */
#endif
	return block;
}

int ek_alloc_aligned(void *out, size_t count, size_t size)
{
	size_t total;
	int rc = total_bytes(&total, count, size);

	return hand_over(out, rc == 0 ? aligned_block(total) : NULL, total, rc);
}

int ek_resize(void *pointer, size_t count, size_t size)
{
	size_t total;
	void *old, *block;
	int rc = total_bytes(&total, count, size);

	if (rc < 0)
		return rc;
	memcpy(&old, pointer, sizeof old);
	if ((block = realloc(old, total)) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for %zu bytes", total);
	memcpy(pointer, &block, sizeof block);
	return 0;
}

int ek_copy_string(char **out, const char *text)
{
	const size_t size = strlen(text) + 1;
	int rc = ek_alloc(out, size, 1);

	if (rc == 0)
		memcpy(*out, text, size);
	return rc;
}

int ek_format(char **out, const char *format, ...)
{
	const locale_t before = ek_locale_enter();
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(out, format, args);
	va_end(args);
	ek_locale_leave(before);
	if (size < 0) {
		*out = NULL;
		return ek_fail(EK_ENOMEM, "no memory for a text");
	}
	return 0;
}

/* What a file below /proc says of `name`, which it gives in kB, in bytes; 0 where it says nothing. */
static uint64_t proc_bytes(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	unsigned long long kilobytes = 0;
	char line[128], found[32];

	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "%31[^:]: %llu kB", found, &kilobytes) == 2 && strcmp(found, name) == 0)
			break;
		kilobytes = 0;
	}
	if (file != NULL)
		(void)fclose(file);
	return (uint64_t)kilobytes * 1024;
}

uint64_t ek_memory_peak(void)
{
	const uint64_t peak = proc_bytes("/proc/self/status", "VmHWM");
	struct rusage usage;

	if (peak > 0)
		return peak;
	/* Begins, on Linux, at the peak of the program that started this one. */
	return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

uint64_t ek_memory_available(void)
{
	return proc_bytes("/proc/meminfo", "MemAvailable");
}

int ek_buffer_reserve(struct ek_buffer *b, size_t extra)
{
	size_t need, capacity = b->capacity > 0 ? b->capacity : 64;
	int rc;

	if (__builtin_add_overflow(b->size, extra, &need) || need > PTRDIFF_MAX / 2)
		return ek_fail(EK_ENOMEM, "no memory for %zu more bytes", extra);
	if (need + 1 <= b->capacity)
		return 0;
	while (capacity < need + 1)
		capacity *= 2;
	if ((rc = ek_resize(&b->data, capacity, 1)) < 0)
		return rc;
	b->capacity = capacity;
	b->data[b->size] = 0;
	return 0;
}

int ek_buffer_append(struct ek_buffer *b, const void *bytes, size_t size)
{
	int rc = ek_buffer_reserve(b, size);

	if (rc < 0)
		return rc;
	if (size > 0)
		memcpy(b->data + b->size, bytes, size);
	b->size += size;
	b->data[b->size] = 0;
	return 0;
}

int ek_buffer_text(struct ek_buffer *b, const char *text)
{
	return ek_buffer_append(b, text, strlen(text));
}

int ek_buffer_printf(struct ek_buffer *b, const char *format, ...)
{
	const size_t room = b->data != NULL ? b->capacity - b->size : 0;
	va_list args, again;
	int size, rc = 0;

	va_start(args, format);
	va_copy(again, args);
	/* Mostly it fits; if not, it is printed a second time. */
	size = ek_vsnprintf(room > 0 ? b->data + b->size : NULL, room, format, args);
	va_end(args);
	if (size < 0)
		rc = ek_fail(EK_EUSAGE, "cannot format \"%s\"", format);
	else if ((size_t)size >= room && (rc = ek_buffer_reserve(b, (size_t)size)) == 0)
		(void)ek_vsnprintf(b->data + b->size, (size_t)size + 1, format, again);
	if (rc == 0)
		b->size += (size_t)size;
	else if (room > 0)
		b->data[b->size] = 0;
	va_end(again);
	return rc;
}

void ek_buffer_clear(struct ek_buffer *b)
{
	b->size = 0;
	if (b->data != NULL)
		b->data[0] = 0;
}

void ek_buffer_release(struct ek_buffer *b)
{
	free(b->data);
	*b = (struct ek_buffer){ 0 };
}
