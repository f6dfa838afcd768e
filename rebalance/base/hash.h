/* Hashes: SHA-256 (libcrypto) for what must be trusted, XXH64 for what must only be noticed. */
#ifndef EK_BASE_HASH_H
#define EK_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { EK_SHA256_SIZE = 32, EK_SHA256_HEX = 65 };

/* EK_ENOTSUP: libcrypto, which is loaded here, is not there. */
int ek_sha256(uint8_t out[EK_SHA256_SIZE], const void *bytes, size_t size);
/* Of a whole file. EK_EIO, or as ek_sha256. */
int ek_sha256_file(uint8_t out[EK_SHA256_SIZE], const char *path);
/* Lower-case hex with a NUL. */
void ek_hex(char *out, const uint8_t *bytes, size_t size);
uint64_t ek_hash64(const void *bytes, size_t size);
/* The same of bytes that come one part after the other. */
struct ek_hash64;
int ek_hash64_new(struct ek_hash64 **out);
void ek_hash64_add(struct ek_hash64 *hash, const void *bytes, size_t size);
uint64_t ek_hash64_so_far(const struct ek_hash64 *hash);
void ek_hash64_free(struct ek_hash64 *hash); /* or NULL */
/* XXH64 of a whole file. EK_EIO. */
int ek_hash64_file(uint64_t *out, const char *path);
/* The same as 16 hexadecimal digits, as documents keep it. */
int ek_hash64_file_hex(char out[17], const char *path);

#endif
