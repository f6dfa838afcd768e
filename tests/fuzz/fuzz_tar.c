/* Any bytes as a tar (plain, or packed): no member gives more bytes than it claims, nothing comes after the end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rebalance/base/file.h"
#include "rebalance/io/stream.h"
#include "rebalance/io/tar.h"

enum { MOST_MEMBERS = 200, MOST_BYTES = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whole, plain members lie in the stream where they say. */
static void check_place(const char *path, const struct ek_tar_member *member, const struct ek_buffer *bytes)
{
	struct ek_buffer again = { 0 };
	struct ek_stream *stream;

	if (ek_stream_open(&stream, path) < 0)
		return;
	if (ek_stream_read(stream, &again, bytes->size, member->offset) == 0 &&
	    (again.size != bytes->size || memcmp(again.data, bytes->data, bytes->size) != 0))
		abort();
	ek_stream_close(stream);
	ek_buffer_release(&again);
}

static void walk(struct ek_tar *tar, const char *path)
{
	struct ek_buffer bytes = { 0 };
	struct ek_tar_member member;
	int members = 0, rc = 0;

	while (members < MOST_MEMBERS && (rc = ek_tar_next(tar, &member)) == 1) {
		members++;
		ek_buffer_clear(&bytes);
		if (member.name == NULL || ek_tar_read(tar, &bytes, MOST_BYTES) < 0)
			abort();
		if (member.is_file && bytes.size > member.size)
			abort();
		if (member.is_file && !member.is_sparse && bytes.size == member.size && bytes.size > 0 && members < 4)
			check_place(path, &member, &bytes);
	}
	if (rc == 0 && ek_tar_is_damaged(tar) && ek_tar_next(tar, &member) != 0)
		abort();
	ek_buffer_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("tar", 0);
	struct ek_tar *tar;
	char path[64];

	if (fd < 0 || ek_write_all(fd, data, size, "tar") < 0)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (ek_tar_open(&tar, path) == 0)
		walk(tar, path);
	ek_tar_close(tar);
	(void)close(fd);
	return 0;
}
