#include "rebalance/io/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"

/* Small after a seek, so that one row costs one small read; doubling while lines are read in turn. */
enum { FIRST_CHUNK = 4096, LARGEST_CHUNK = 1 << 18 };

int ek_lines_open(struct ek_lines *lines, const char *path)
{
	int rc;

	*lines = (struct ek_lines){ .fd = -1, .chunk = FIRST_CHUNK };
	EK_TRY(ek_copy_string(&lines->path, path));
	EK_TRY(ek_open_regular(&lines->fd, NULL, path));
out:
	if (rc < 0)
		ek_lines_close(lines);
	return rc;
}

static void unpatch(struct ek_lines *lines)
{
	if (lines->patched > 0)
		lines->window.data[lines->patched - 1] = '\n';
	lines->patched = 0;
}

/* Drop the lines already read and append a chunk; 1, or 0 at the end of the file. */
static int fill(struct ek_lines *lines)
{
	struct ek_buffer *w = &lines->window;
	ssize_t got;
	int rc;

	if (lines->at > 0) {
		memmove(w->data, w->data + lines->at, w->size - lines->at);
		w->size -= lines->at;
		lines->window_offset += lines->at;
		lines->at = 0;
	}
	EK_TRY(ek_buffer_reserve(w, lines->chunk));
	do
		got = pread(lines->fd, w->data + w->size, lines->chunk, (off_t)(lines->window_offset + w->size));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return ek_fail_errno("cannot read %s", lines->path);
	w->size += (size_t)got;
	w->data[w->size] = 0;
	if (lines->chunk < LARGEST_CHUNK)
		lines->chunk *= 2;
	return got > 0;
out:
	return rc;
}

int ek_lines_next(struct ek_lines *lines, const char **text, size_t *size)
{
	struct ek_buffer *w = &lines->window;
	size_t seen = 0;
	char *newline;
	int rc;

	unpatch(lines);
	*text = "";
	*size = 0;
	for (;;) {
		const size_t left = w->size - lines->at;

		newline = left > seen ? memchr(w->data + lines->at + seen, '\n', left - seen) : NULL;
		if (newline != NULL)
			break;
		seen = left;
		if (seen > EK_LINE_LIMIT)
			return ek_fail(EK_EDATA, "%s:%llu: a line of more than %zu bytes", lines->path,
			               (unsigned long long)lines->line + 1, EK_LINE_LIMIT);
		if ((rc = fill(lines)) < 0)
			return rc;
		if (rc == 0)
			break;
	}
	if (newline == NULL && lines->at == w->size)
		return 0;
	if (lines->window_offset + lines->at == 0 && w->size >= 3 && memcmp(w->data, "\xef\xbb\xbf", 3) == 0)
		lines->at = 3;
	*text = w->data + lines->at;
	*size = newline != NULL ? (size_t)(newline - *text) : w->size - lines->at;
	lines->offset = lines->window_offset + lines->at;
	lines->at += *size + (newline != NULL);
	lines->line++;
	if (newline != NULL) {
		*newline = 0;
		lines->patched = 1 + (size_t)(newline - w->data);
	}
	return 1;
}

void ek_lines_seek(struct ek_lines *lines, uint64_t offset, uint64_t line)
{
	unpatch(lines);
	lines->line = line - 1;
	if (offset >= lines->window_offset && offset - lines->window_offset <= lines->window.size) {
		lines->at = (size_t)(offset - lines->window_offset);
		return;
	}
	ek_buffer_clear(&lines->window);
	lines->window_offset = offset;
	lines->at = 0;
	lines->chunk = FIRST_CHUNK;
}

void ek_lines_close(struct ek_lines *lines)
{
	/* A zeroed struct was never opened. */
	if (lines->path != NULL && lines->fd >= 0)
		(void)close(lines->fd);
	free(lines->path);
	ek_buffer_release(&lines->window);
	*lines = (struct ek_lines){ .fd = -1 };
}
