#include "tests/support/support.h"

#include <ftw.h>

#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

/* Children of processes with threads start threads of their own. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

enum { SCRATCH_COUNT = 64, PATH_SIZE = 4096 };

static char scratch[SCRATCH_COUNT][64];
static int scratch_used;

void ek_assert_close(double got, double want, double tolerance, const char *what, const char *file, int line)
{
	if (fabs(got - want) <= tolerance * fmax(1, fabs(want)))
		return;
	print_error("%s is %.17g, expected %.17g within %g\n", what, got, want, tolerance);
	_fail(file, line);
}

double ek_max_difference(const float *got, const float *want, size_t count)
{
	double largest = count > 0 ? 0 : (double)INFINITY;

	for (size_t i = 0; i < count; i++) {
		const double difference = fabs((double)got[i] - (double)want[i]);

		if (!(difference <= largest))
			largest = isnan(difference) ? (double)INFINITY : difference;
	}
	return largest;
}

double ek_cosine(const float *a, const float *b, size_t count)
{
	double ab = 0, aa = 0, bb = 0;

	for (size_t i = 0; i < count; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : (double)NAN;
}

void ek_assert_ok(int rc, const char *what, const char *file, int line)
{
	if (rc >= 0)
		return;
	print_error("%s failed with %d: %s\n", what, rc, ek_error_message());
	_fail(file, line);
}

void ek_assert_fails(int rc, int code, const char *text, const char *what, const char *file, int line)
{
	if (rc == code && strstr(ek_error_message(), text) != NULL)
		return;
	print_error("%s gave %d \"%s\", expected %d with \"%s\"\n", what, rc, rc < 0 ? ek_error_message() : "", code,
	            text);
	_fail(file, line);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	return remove(path);
}

static void remove_scratch(void)
{
	for (int i = 0; i < scratch_used; i++)
		(void)nftw(scratch[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *ek_scratch(void)
{
	char *name = scratch[scratch_used];

	assert_true(scratch_used < SCRATCH_COUNT);
	(void)snprintf(name, sizeof *scratch, "/tmp/evenkeel-test-XXXXXX");
	assert_non_null(mkdtemp(name));
	if (scratch_used++ == 0)
		(void)atexit(remove_scratch);
	return name;
}

const char *ek_join(const char *folder, const char *name)
{
	static char paths[SCRATCH_COUNT][PATH_SIZE];
	static int next;
	char *path = paths[next++ % SCRATCH_COUNT];

	assert_true(snprintf(path, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE);
	return path;
}

void ek_write_file(const char *path, const void *bytes, size_t size)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

const char *ek_put_file(const char *name, const void *bytes, size_t size)
{
	static const char *folder;
	const char *path;

	if (folder == NULL)
		folder = ek_scratch();
	path = ek_join(folder, name);
	ek_write_file(path, bytes, size);
	return path;
}

struct ek_buffer ek_read_file(const char *path)
{
	struct ek_buffer bytes = { 0 };

	assert_ok(ek_file_read(&bytes, path, 1 << 28));
	return bytes;
}

void ek_assert_holds(const char *path, const char *text)
{
	struct ek_buffer got = ek_read_file(path);

	assert_int_equal(got.size, strlen(text));
	assert_string_equal(got.data, text);
	ek_buffer_release(&got);
}

void ek_assert_same_files(const char *a, const char *b)
{
	struct ek_buffer first = ek_read_file(a), second = ek_read_file(b);

	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
	ek_buffer_release(&first);
	ek_buffer_release(&second);
}

void ek_prefix_tensors(const char *path, const char *before)
{
	struct ek_buffer file = { 0 }, out = { 0 };
	cJSON *header, *renamed = cJSON_CreateObject();
	char *text, name[1024];
	uint64_t size;

	assert_ok(ek_file_read(&file, path, SIZE_MAX / 2));
	memcpy(&size, file.data, sizeof size);
	assert_ok(ek_json_parse(&header, file.data + sizeof size, (size_t)size, path));
	while (header->child != NULL) {
		cJSON *item = cJSON_DetachItemViaPointer(header, header->child);

		(void)snprintf(name, sizeof name, "%s%s", strcmp(item->string, "__metadata__") == 0 ? "" : before,
		               item->string);
		assert_true(cJSON_AddItemToObject(renamed, name, item));
	}
	text = cJSON_PrintUnformatted(renamed);
	size += sizeof size;
	assert_ok(ek_buffer_append(&out, &(uint64_t){ strlen(text) }, sizeof size));
	assert_ok(ek_buffer_text(&out, text));
	assert_ok(ek_buffer_append(&out, file.data + size, file.size - size));
	ek_write_file(path, out.data, out.size);
	cJSON_Delete(header);
	cJSON_Delete(renamed);
	free(text);
	ek_buffer_release(&file);
	ek_buffer_release(&out);
}

cJSON *ek_golden(const char *name)
{
	cJSON *golden = NULL;
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "tests/golden/%s.json", name);
	assert_ok(ek_json_load(&golden, path));
	return golden;
}

const cJSON *ek_golden_member(const cJSON *golden, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(golden, name);

	assert_non_null(item);
	return item;
}

double ek_golden_number(const cJSON *golden, const char *name)
{
	double value;

	assert_ok(ek_json_get_double(&value, golden, name, "golden"));
	return value;
}

size_t ek_from_hex(uint8_t **out, const char *hex)
{
	const size_t size = strlen(hex) / 2;

	assert_ok(ek_alloc(out, size, 1));
	for (size_t i = 0; i < size; i++) {
		unsigned int byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		(*out)[i] = (uint8_t)byte;
	}
	return size;
}

double *ek_golden_doubles(const cJSON *golden, const char *name, size_t *count)
{
	const cJSON *array = cJSON_GetObjectItemCaseSensitive(golden, name), *item;
	const int size = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : -1;
	double *values;
	size_t i = 0;

	assert_true(size >= 0);
	values = calloc((size_t)size + 1, sizeof *values);
	assert_non_null(values);
	cJSON_ArrayForEach(item, array)
	{
		assert_true(cJSON_IsNumber(item));
		values[i++] = item->valuedouble;
	}
	*count = i;
	return values;
}

struct ek_warnings ek_warnings;

static void count_warning(void *context, enum ek_log_level level, const char *text)
{
	if (level != EK_LOG_WARNING)
		return;
	ek_warnings.count++;
	(void)snprintf(ek_warnings.last, sizeof ek_warnings.last, "%s", text);
}

void ek_warnings_take(void)
{
	ek_warnings = (struct ek_warnings){ 0 };
	ek_log_set_sink(&(struct ek_log_sink){ .message = count_warning });
}
