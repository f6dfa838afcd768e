#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/stream.h"
#include "rebalance/io/tar.h"

static uint64_t number(const cJSON *object, const char *name)
{
	return (uint64_t)cJSON_GetObjectItem(object, name)->valuedouble;
}

/* Every member of the tar at `path` is as Python saw it, and its bytes lie in `stream` where it says. */
static void check_tar(const char *path, const cJSON *members, struct ek_stream *stream)
{
	struct ek_tar_member member;
	struct ek_buffer bytes = { 0 };
	struct ek_tar *tar;
	const cJSON *want;

	assert_ok(ek_tar_open(&tar, path));
	cJSON_ArrayForEach(want, members)
	{
		const cJSON *text = cJSON_GetObjectItem(want, "text");
		char hex[1024];

		assert_int_equal(ek_tar_next(tar, &member), 1);
		ek_hex(hex, (const uint8_t *)member.name, strlen(member.name));
		/* Python drops the slash that ends a directory's name. */
		if (!member.is_file && !member.is_link && strlen(hex) > 2 && strcmp(hex + strlen(hex) - 2, "2f") == 0)
			hex[strlen(hex) - 2] = 0;
		assert_string_equal(hex, cJSON_GetObjectItem(want, "name")->valuestring);
		assert_int_equal(member.is_file, cJSON_IsTrue(cJSON_GetObjectItem(want, "file")));
		assert_int_equal(member.is_link, cJSON_IsTrue(cJSON_GetObjectItem(want, "link")));
		assert_false(member.is_sparse);
		if (!member.is_file)
			continue;
		assert_int_equal(member.size, number(want, "size"));
		assert_int_equal(member.offset, number(want, "offset"));
		ek_buffer_clear(&bytes);
		assert_ok(ek_tar_read(tar, &bytes, 5));
		assert_ok(ek_tar_read(tar, &bytes, SIZE_MAX));
		assert_int_equal(bytes.size, member.size);
		assert_memory_equal(bytes.size > 0 ? bytes.data : "", text->valuestring, bytes.size);
		ek_buffer_clear(&bytes);
		assert_ok(ek_stream_read(stream, &bytes, (size_t)member.size, member.offset));
		assert_string_equal(bytes.data != NULL ? bytes.data : "", text->valuestring);
	}
	assert_int_equal(ek_tar_next(tar, &member), 0);
	assert_false(ek_tar_is_damaged(tar));
	ek_tar_close(tar);
	ek_buffer_release(&bytes);
}

/* The uncompressed bytes of a golden tar. */
static struct ek_buffer plain_tar(const char *kind)
{
	struct ek_buffer bytes = { 0 };
	struct ek_stream *stream;
	char path[256];

	(void)snprintf(path, sizeof path, "tests/golden/tar-%s.tar.gz", kind);
	assert_ok(ek_stream_open(&stream, path));
	assert_true(ek_stream_is_compressed(stream));
	assert_ok(ek_stream_read(stream, &bytes, SIZE_MAX / 4, 0));
	ek_stream_close(stream);
	return bytes;
}

static void members_are_where_tarfile_finds_them(void **state)
{
	cJSON *golden = ek_golden("tar");
	const char *folder = ek_scratch();
	const cJSON *kind;

	ek_warnings.count = 0;
	cJSON_ArrayForEach(kind, cJSON_GetObjectItem(golden, "tars"))
	{
		struct ek_buffer bytes = plain_tar(kind->string);
		const char *plain = ek_join(folder, "x.tar");
		struct ek_stream *stream;
		char packed[256];

		print_message("%s\n", kind->string);
		assert_int_equal(bytes.size, number(kind, "bytes"));
		ek_write_file(plain, bytes.data, bytes.size);
		(void)snprintf(packed, sizeof packed, "tests/golden/tar-%s.tar.gz", kind->string);
		assert_ok(ek_stream_open(&stream, plain));
		check_tar(plain, cJSON_GetObjectItem(kind, "members"), stream);
		check_tar(packed, cJSON_GetObjectItem(kind, "members"), stream);
		ek_stream_close(stream);
		assert_ok(ek_stream_open(&stream, packed));
		check_tar(plain, cJSON_GetObjectItem(kind, "members"), stream);
		ek_stream_close(stream);
		ek_buffer_release(&bytes);
	}
	assert_int_equal(ek_warnings.count, 0);
	cJSON_Delete(golden);
}

/* Read all of a tar; the number of whole members. */
static int whole_members(const char *path, int *damaged, int *rc)
{
	struct ek_tar_member member;
	struct ek_buffer bytes = { 0 };
	struct ek_tar *tar;
	int whole = 0;

	*damaged = 0;
	if ((*rc = ek_tar_open(&tar, path)) < 0)
		return 0;
	while ((*rc = ek_tar_next(tar, &member)) == 1) {
		ek_buffer_clear(&bytes);
		assert_ok(ek_tar_read(tar, &bytes, SIZE_MAX));
		whole += !member.is_file || bytes.size == member.size;
	}
	*damaged = ek_tar_is_damaged(tar);
	ek_tar_close(tar);
	ek_buffer_release(&bytes);
	return whole;
}

/* The end of the last member's record, without the zero blocks. */
static size_t end_of_members(const struct ek_buffer *tar)
{
	size_t end = tar->size;

	while (end > 0 && tar->data[end - 1] == 0)
		end--;
	return (end + 511) / 512 * 512;
}

static void what_lies_before_a_cut_is_kept_and_the_cut_is_told(void **state)
{
	struct ek_buffer tar = plain_tar("gnu");
	const char *path = ek_join(ek_scratch(), "cut.tar");
	const size_t end = end_of_members(&tar);
	int last = 0;

	for (size_t size = 0; size <= end; size += 256) {
		int damaged, rc, whole;

		ek_write_file(path, tar.data, size);
		ek_warnings.count = 0;
		whole = whole_members(path, &damaged, &rc);
		if (size < 512) {
			assert_int_equal(rc, EK_EDATA);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_true(damaged && ek_warnings.count == 1);
		assert_true(whole >= last);
		last = whole;
	}
	assert_int_equal(last, 15);
	ek_buffer_release(&tar);
}

static void what_lies_behind_a_damaged_header_is_kept_and_the_damage_is_told(void **state)
{
	struct ek_buffer tar = plain_tar("ustar");
	const char *path = ek_join(ek_scratch(), "damaged.tar");
	uint64_t offsets[16];
	struct ek_tar_member member;
	struct ek_tar *whole;
	int count = 0, damaged, rc;

	ek_write_file(path, tar.data, tar.size);
	assert_ok(ek_tar_open(&whole, path));
	while (ek_tar_next(whole, &member) == 1)
		offsets[count++] = member.offset;
	ek_tar_close(whole);
	assert_true(count > 8);
	for (int i = 1; i < count; i++) {
		char *checksum = tar.data + offsets[i] - 512 + 148;

		*checksum ^= 1;
		ek_write_file(path, tar.data, tar.size);
		*checksum ^= 1;
		ek_warnings.count = 0;
		assert_int_equal(whole_members(path, &damaged, &rc), count - 1);
		assert_int_equal(rc, 0);
		assert_true(damaged && ek_warnings.count == 1);
	}
	ek_buffer_release(&tar);
}

static void a_cut_gzip_keeps_what_came_before(void **state)
{
	const char *path = ek_join(ek_scratch(), "cut.tar.gz");
	struct ek_buffer packed = { 0 };
	int most = 0;

	assert_ok(ek_file_read(&packed, "tests/golden/tar-pax.tar.gz", 1 << 20));
	for (size_t size = 20; size < packed.size; size += 16) {
		int damaged, rc, whole;

		ek_write_file(path, packed.data, size);
		whole = whole_members(path, &damaged, &rc);
		assert_true(rc == EK_EDATA || (rc == 0 && damaged) || whole == 15);
		most = whole > most ? whole : most;
	}
	assert_true(most > 3);
	ek_buffer_release(&packed);
}

static void what_is_not_a_tar_is_refused(void **state)
{
	const char *path = ek_join(ek_scratch(), "x.tar");
	struct ek_tar *tar;
	int damaged, rc;

	ek_write_file(path, "", 0);
	(void)whole_members(path, &damaged, &rc);
	assert_fails(rc, EK_EDATA, "x.tar: not a readable tar");
	ek_write_file(path, "hello, this is not a tar file at all", 36);
	(void)whole_members(path, &damaged, &rc);
	assert_fails(rc, EK_EDATA, "x.tar: not a readable tar");
	assert_fails(ek_tar_open(&tar, "/dev/zero"), EK_EDATA, "not a regular file");
	assert_fails(ek_tar_open(&tar, "/nowhere.tar"), EK_EIO, "/nowhere.tar");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_where_tarfile_finds_them),
		cmocka_unit_test(what_lies_before_a_cut_is_kept_and_the_cut_is_told),
		cmocka_unit_test(what_lies_behind_a_damaged_header_is_kept_and_the_damage_is_told),
		cmocka_unit_test(a_cut_gzip_keeps_what_came_before),
		cmocka_unit_test(what_is_not_a_tar_is_refused),
	};

	ek_warnings_take();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
