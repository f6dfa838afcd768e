#include "tests/support/support.h"

#include "rebalance/base/hash.h"

/* FIPS 180-4 examples (NIST), and XXH64 with seed 0 (xxHash and python-xxhash documentation). */
static const struct {
	const char *text, *sha256;
	uint64_t xxh64;
} cases[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0xef46db3751d8e999u },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 0x44bc2cf5ad770999u },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", 0 },
	{ "Nobody inspects the spammish repetition", NULL, 0xfbcea83c8a378bf1u },
};

static void assert_sha256(const uint8_t *got, const char *want)
{
	char hex[EK_SHA256_HEX];

	ek_hex(hex, got, EK_SHA256_SIZE);
	assert_string_equal(hex, want);
}

static void hashes_equal_the_published_ones(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t got[EK_SHA256_SIZE];

		assert_ok(ek_sha256(got, cases[i].text, strlen(cases[i].text)));
		if (cases[i].sha256 != NULL)
			assert_sha256(got, cases[i].sha256);
		if (cases[i].xxh64 != 0)
			assert_true(ek_hash64(cases[i].text, strlen(cases[i].text)) == cases[i].xxh64);
	}
}

static void a_file_hashes_as_its_bytes(void **state)
{
	enum { SIZE = 3000001 }; /* several reads, the last one short */
	const char *path = ek_join(ek_scratch(), "million");
	uint8_t got[EK_SHA256_SIZE], want[EK_SHA256_SIZE];
	char *bytes = malloc(SIZE);
	uint64_t hash;

	assert_non_null(bytes);
	memset(bytes, 'a', SIZE);
	ek_write_file(path, bytes, 1000000);
	assert_ok(ek_sha256_file(got, path));
	assert_sha256(got, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 31 >> 3);
	ek_write_file(path, bytes, SIZE);
	assert_ok(ek_sha256_file(got, path));
	assert_ok(ek_sha256(want, bytes, SIZE));
	assert_memory_equal(got, want, sizeof got);
	assert_ok(ek_hash64_file(&hash, path));
	assert_true(hash == ek_hash64(bytes, SIZE));
	free(bytes);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	const char *folder = ek_scratch();
	uint8_t got[EK_SHA256_SIZE];
	uint64_t hash;

	assert_fails(ek_sha256_file(got, ek_join(folder, "none")), EK_EIO, "none: No such file");
	assert_fails(ek_hash64_file(&hash, folder), EK_EDATA, "not a regular file");
}

EK_TEST_MAIN(cmocka_unit_test(hashes_equal_the_published_ones), cmocka_unit_test(a_file_hashes_as_its_bytes),
             cmocka_unit_test(a_file_that_cannot_be_read_is_named))
