#include "rebalance/base/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <pthread.h>
#include <xxhash.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/library.h"
#include "rebalance/base/memory.h"

enum { READ_SIZE = 1 << 20 };

/* What is used of libcrypto, which is large: loaded when there is something to hash. */
static struct {
	__typeof__(&EVP_Digest) digest;
	__typeof__(&EVP_DigestFinal_ex) final;
	__typeof__(&EVP_DigestInit_ex) init;
	__typeof__(&EVP_DigestUpdate) update;
	__typeof__(&EVP_MD_CTX_free) free;
	__typeof__(&EVP_MD_CTX_new) new;
	__typeof__(&EVP_sha256) sha256;
	int is_there;
} evp;

static void load(void)
{
	static const struct ek_library_function functions[] = {
		{ "EVP_Digest", &evp.digest },      { "EVP_DigestFinal_ex", &evp.final },
		{ "EVP_DigestInit_ex", &evp.init }, { "EVP_DigestUpdate", &evp.update },
		{ "EVP_MD_CTX_free", &evp.free },   { "EVP_MD_CTX_new", &evp.new },
		{ "EVP_sha256", &evp.sha256 },
	};

	evp.is_there = ek_library_load(EK_CRYPTO_LIBRARY, functions, sizeof functions / sizeof *functions) == 0;
}

static int need_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, load);
	return evp.is_there
	               ? 0
	               : ek_fail(EK_ENOTSUP, "SHA-256 needs the library %s, which is not there", EK_CRYPTO_LIBRARY);
}

int ek_sha256(uint8_t out[EK_SHA256_SIZE], const void *bytes, size_t size)
{
	int rc;

	EK_TRY(need_library());
	if (evp.digest(bytes, size, out, NULL, evp.sha256(), NULL) != 1)
		rc = ek_fail(EK_ENOMEM, "SHA-256 failed");
out:
	return rc;
}

void ek_hex(char *out, const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * size] = 0;
}

uint64_t ek_hash64(const void *bytes, size_t size)
{
	return XXH64(bytes, size, 0);
}

struct ek_hash64 {
	XXH64_state_t *state;
};

int ek_hash64_new(struct ek_hash64 **out)
{
	int rc;

	EK_TRY(ek_alloc(out, 1, sizeof **out));
	(*out)->state = XXH64_createState();
	if ((*out)->state == NULL || XXH64_reset((*out)->state, 0) != XXH_OK) {
		ek_hash64_free(*out);
		*out = NULL;
		rc = ek_fail(EK_ENOMEM, "no memory for a hash");
	}
out:
	return rc;
}

void ek_hash64_add(struct ek_hash64 *hash, const void *bytes, size_t size)
{
	(void)XXH64_update(hash->state, bytes, size); /* fails only without a state */
}

uint64_t ek_hash64_so_far(const struct ek_hash64 *hash)
{
	return XXH64_digest(hash->state);
}

void ek_hash64_free(struct ek_hash64 *hash)
{
	if (hash != NULL)
		(void)XXH64_freeState(hash->state);
	free(hash);
}

/* Feed a whole file to update(state, bytes, size), which returns 1. */
static int feed_file(const char *path, int (*update)(void *, const void *, size_t), void *state)
{
	char *block = NULL;
	ssize_t got;
	int fd = -1, rc;

	EK_TRY(ek_alloc(&block, READ_SIZE, 1));
	EK_TRY(ek_open_regular(&fd, NULL, path));
	while ((got = read(fd, block, READ_SIZE)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || update(state, block, (size_t)got) != 1) {
			rc = ek_fail_errno("cannot read %s", path);
			goto out;
		}
	}
out:
	if (fd >= 0)
		(void)close(fd);
	free(block);
	return rc;
}

static int update_sha256(void *state, const void *bytes, size_t size)
{
	return evp.update(state, bytes, size);
}

static int update_hash64(void *hash, const void *bytes, size_t size)
{
	ek_hash64_add(hash, bytes, size);
	return 1;
}

int ek_sha256_file(uint8_t out[EK_SHA256_SIZE], const char *path)
{
	EVP_MD_CTX *state;
	int rc;

	if ((rc = need_library()) < 0)
		return rc;
	if ((state = evp.new()) == NULL || evp.init(state, evp.sha256(), NULL) != 1)
		rc = ek_fail(EK_ENOMEM, "no memory for SHA-256");
	else if ((rc = feed_file(path, update_sha256, state)) == 0 && evp.final(state, out, NULL) != 1)
		rc = ek_fail(EK_ENOMEM, "SHA-256 failed");
	evp.free(state);
	return rc;
}

int ek_hash64_file(uint64_t *out, const char *path)
{
	struct ek_hash64 *hash;
	int rc;

	EK_TRY(ek_hash64_new(&hash));
	if ((rc = feed_file(path, update_hash64, hash)) == 0)
		*out = ek_hash64_so_far(hash);
	ek_hash64_free(hash);
out:
	return rc;
}

int ek_hash64_file_hex(char out[17], const char *path)
{
	uint64_t hash = 0;
	const int rc = ek_hash64_file(&hash, path);

	(void)snprintf(out, 17, "%016" PRIx64, hash);
	return rc;
}
