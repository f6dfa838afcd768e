#include "tests/support/support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "rebalance/base/file.h"
#include "rebalance/io/tar.h"
#include "rebalance/io/tar_writer.h"

/* Sizes about a record's end, and one that fills blocks. */
static const size_t sizes[] = { 0, 1, 511, 512, 513, 3000000 };
enum { COUNT = sizeof sizes / sizeof *sizes };

static void write_all(const char *path, const char *bytes)
{
	struct ek_tar_writer *w;
	char name[32];

	assert_ok(ek_tar_writer_open(&w, path));
	for (size_t i = 0; i < COUNT; i++) {
		(void)snprintf(name, sizeof name, "%09zu.bin", i);
		assert_ok(ek_tar_writer_add(w, name, bytes + i, sizes[i]));
	}
	assert_ok(ek_tar_writer_finish(w));
	ek_tar_writer_free(w);
}

static void what_is_written_is_read_and_depends_on_nothing_else(void **state)
{
	const char *folder = ek_scratch(), *path = ek_join(folder, "a.tar"), *again = ek_join(folder, "b.tar");
	struct ek_buffer bytes = { 0 }, other = { 0 };
	struct ek_tar_member member;
	struct ek_tar_writer *w;
	struct ek_tar *tar;
	uint64_t size = EK_TAR_END_SIZE;
	struct stat status;
	char *data;

	assert_ok(ek_alloc(&data, sizes[COUNT - 1] + COUNT, 1));
	for (size_t i = 0; i < sizes[COUNT - 1] + COUNT; i++)
		data[i] = (char)(i * 2654435761u >> 13);
	write_all(path, data);
	assert_ok(ek_tar_open(&tar, path));
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(ek_tar_next(tar, &member), 1);
		assert_true(member.is_file);
		assert_int_equal(member.size, sizes[i]);
		ek_buffer_clear(&bytes);
		assert_ok(ek_tar_read(tar, &bytes, sizes[i] + 1));
		assert_int_equal(bytes.size, sizes[i]);
		assert_memory_equal(bytes.data != NULL ? bytes.data : "", data + i, sizes[i]);
		size += ek_tar_member_size(sizes[i]);
	}
	assert_int_equal(ek_tar_next(tar, &member), 0);
	assert_false(ek_tar_is_damaged(tar));
	ek_tar_close(tar);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, size);
	write_all(again, data);
	ek_buffer_clear(&bytes);
	assert_ok(ek_file_read(&bytes, path, SIZE_MAX / 2));
	assert_ok(ek_file_read(&other, again, SIZE_MAX / 2));
	assert_int_equal(bytes.size, other.size);
	assert_memory_equal(bytes.data, other.data, bytes.size);
	assert_fails(ek_tar_writer_open(&w, path), EK_EIO, "File exists");
	assert_null(w);
	ek_buffer_release(&bytes);
	ek_buffer_release(&other);
	free(data);
}

static void a_full_disk_is_told(void **state)
{
	struct ek_tar_writer *w;
	static const char data[4 << 20];
	struct rlimit was, small;
	int rc;

	assert_ok(ek_tar_writer_open(&w, ek_join(ek_scratch(), "a.tar")));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = (struct rlimit){ .rlim_cur = 1 << 20, .rlim_max = was.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = ek_tar_writer_add(w, "a", data, sizeof data);
	if (rc == 0)
		rc = ek_tar_writer_finish(w);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_fails(rc, EK_EIO, "File too large");
	ek_tar_writer_free(w);
}

EK_TEST_MAIN(cmocka_unit_test(what_is_written_is_read_and_depends_on_nothing_else),
             cmocka_unit_test(a_full_disk_is_told))
