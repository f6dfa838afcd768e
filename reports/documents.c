#include "reports/documents.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"

/* What ends a name comes before all else. */
static int by_name(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	while (*x != 0 && *x == *y) {
		x++;
		y++;
	}
	return (*x == '/' || *x == '.' ? 1 : (unsigned char)*x + 2) -
	       (*y == '/' || *y == '.' ? 1 : (unsigned char)*y + 2);
}

int ek_find_named(glob_t *found, const struct ek_run *run, const char *pattern)
{
	const int rc = ek_run_glob(found, run, pattern);

	if (rc >= 0 && found->gl_pathc > 1)
		qsort(found->gl_pathv, found->gl_pathc, sizeof *found->gl_pathv, by_name);
	return rc;
}

int ek_folder_name(char **out, const char *path)
{
	const char *end = strrchr(path, '/'), *start = end;

	while (start > path && start[-1] != '/')
		start--;
	return ek_format(out, "%.*s", (int)(end - start), start);
}

int ek_file_stem(char **out, const char *path)
{
	const char *start = strrchr(path, '/') + 1, *end = strrchr(start, '.');

	return ek_format(out, "%.*s", (int)(end - start), start);
}

int ek_load_object(cJSON **out, const char *path)
{
	int rc = ek_json_load(out, path);

	return rc == 0 && !cJSON_IsObject(*out) ? ek_fail(EK_EDATA, "%s: no JSON object", path) : rc;
}

int ek_leave_out(struct ek_buffer *left_out, int rc, const char *path)
{
	char *line = NULL;

	if (rc != EK_EDATA)
		return rc;
	EK_TRY(ek_format(&line, "%s\n", ek_error_message()));
	if (left_out->size == 0 || strstr(left_out->data, line) == NULL) {
		ek_warn("%.*s; the report goes without it: evenkeel info %s says what makes it again",
		        (int)strlen(line) - 1, line, path);
		EK_TRY(ek_buffer_append(left_out, line, strlen(line)));
	}
	rc = 1;
out:
	free(line);
	return rc;
}

double ek_number_of(const cJSON *object, const char *name)
{
	const cJSON *item = ek_json_member(object, name);

	return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

const char *ek_text_of(const cJSON *object, const char *name, const char *otherwise)
{
	const char *text = cJSON_GetStringValue(ek_json_member(object, name));

	return text == NULL ? otherwise : text;
}

struct ek_measure ek_interval_of(const cJSON *item)
{
	struct ek_measure m = { NAN, NAN, NAN, NAN };
	const cJSON *interval = ek_json_member(item, "ci95");

	if (cJSON_IsNumber(item))
		m.value = item->valuedouble;
	else if (cJSON_IsObject(item))
		m.value = ek_number_of(item, "value");
	if (cJSON_IsArray(interval) && cJSON_GetArraySize(interval) == 2) {
		m.low = cJSON_GetNumberValue(interval->child);
		m.high = cJSON_GetNumberValue(interval->child->next);
		m.corrected = ek_number_of(item, "corrected");
	}
	return m;
}

struct ek_measure ek_measure_of(const cJSON *object, const char *name)
{
	return ek_interval_of(ek_json_member(object, name));
}
