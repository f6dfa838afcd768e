#include "rebalance/io/patterns.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"
#include "rebalance/base/json.h"
#include "rebalance/base/locale.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/utf8.h"
#include "rebalance/io/table.h"

enum { LONGEST_NAME = 255 };

const char *ek_left_out_name(enum ek_left_out reason)
{
	static const char *const names[EK_LEFT_OUT_COUNT] = {
		[EK_TAKEN] = "taken",
		[EK_LEFT_HIDDEN] = "hidden",
		[EK_LEFT_SYSTEM] = "system",
		[EK_LEFT_EXPORT] = "exports",
		[EK_LEFT_RUN] = "runs",
		[EK_LEFT_LINK] = "links",
		[EK_LEFT_MASK] = "masks",
		[EK_LEFT_NOT_INCLUDED] = "not_included",
		[EK_LEFT_EXCLUDED] = "excluded",
	};

	return names[reason];
}

/* `*out` = the pattern without "./" before it and slashes at its ends. */
static int add_pattern(char **out, const char *pattern)
{
	size_t size;
	int rc;

	pattern = ek_plain_name(pattern);
	pattern += strspn(pattern, "/");
	EK_TRY(ek_copy_string(out, pattern));
	for (size = strlen(*out); size > 0 && (*out)[size - 1] == '/'; size--)
		(*out)[size - 1] = 0;
	if (size == 0)
		rc = ek_fail(EK_EUSAGE, "an empty pattern matches no file");
	else if (ek_utf8_valid_prefix(*out, size) < size) /* the scan's record could not hold it */
		rc = ek_fail(EK_EUSAGE, "the pattern \"%s\" is not UTF-8: write ? for each byte that is not", pattern);
out:
	return rc;
}

int ek_patterns_init(struct ek_patterns *s, const char *const *include, size_t include_count,
                     const char *const *exclude, size_t exclude_count)
{
	int rc;

	*s = (struct ek_patterns){ 0 };
	EK_TRY(ek_alloc(&s->include, include_count, sizeof *s->include));
	EK_TRY(ek_alloc(&s->exclude, exclude_count, sizeof *s->exclude));
	for (size_t i = 0; i < include_count; i++)
		EK_TRY(add_pattern(&s->include[s->include_count++], include[i]));
	for (size_t i = 0; i < exclude_count; i++)
		EK_TRY(add_pattern(&s->exclude[s->exclude_count++], exclude[i]));
out:
	return rc;
}

static void free_all(char **patterns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(patterns[i]);
	free(patterns);
}

void ek_patterns_release(struct ek_patterns *s)
{
	free_all(s->include, s->include_count);
	free_all(s->exclude, s->exclude_count);
	*s = (struct ek_patterns){ 0 };
}

/* In "C", names are bytes. */
static int match(const char *pattern, const char *text, int flags)
{
	const locale_t before = ek_locale_enter();
	const int result = fnmatch(pattern, text, flags);

	ek_locale_leave(before);
	return result == 0;
}

/* Of the path and each folder above it; of a pattern without a slash, of their names. */
static int matches(const char *pattern, const char *path)
{
	const int whole = strchr(pattern, '/') != NULL;
	char *copy = NULL;
	int found = 0, rc;

	path += strspn(path, "/");
	if ((rc = ek_copy_string(&copy, path)) < 0)
		return rc;
	for (char *start = copy, *end; !found; start = end + 1) {
		const char kept = *(end = start + strcspn(start, "/"));

		*end = 0;
		found = match(pattern, whole ? copy : start, 0);
		*end = kept;
		if (kept == 0)
			break;
	}
	free(copy);
	return found;
}

static int matches_any(char **patterns, size_t count, const char *path)
{
	int found = 0;

	for (size_t i = 0; i < count && found == 0; i++)
		found = matches(patterns[i], path);
	return found;
}

int ek_patterns_names(const struct ek_patterns *s, const char *name)
{
	char part[LONGEST_NAME + 1];

	for (size_t i = 0; i < s->include_count; i++)
		for (const char *at = s->include[i]; *at != 0; at += strspn(at, "/")) {
			const size_t size = strcspn(at, "/");

			if (strspn(at, "*") < size && size <= LONGEST_NAME) {
				memcpy(part, at, size);
				part[size] = 0;
				if (match(part, name, FNM_PERIOD))
					return 1;
			}
			at += size;
		}
	return 0;
}

/* By Synology and QNAP, macOS (and who serves its files), Windows, Linux, Python, and tar programs that do not know pax
 * headers. */
static int is_of_system(const char *name)
{
	static const char *const known[] = {
		"@eaDir",     "@Recycle",    "@Recently-Snapshot", "#recycle",    "#snapshot",
		"__MACOSX",   ".DS_Store",   ".AppleDouble",       ".AppleDB",    ".AppleDesktop",
		".apdisk",    ".fseventsd",  ".Spotlight-V100",    ".Trashes",    ".TemporaryItems",
		".localized", "Thumbs.db",   "ehthumbs.db",        "desktop.ini", "$RECYCLE.BIN",
		"lost+found", "__pycache__", "PaxHeader",          "PaxHeaders",  "System Volume Information",
	};

	if (strchr("@#_.tTeEdD$sSlLpP", name[0]) == NULL)
		return 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcasecmp(name, known[i]) == 0)
			return 1;
	if (strncmp(name, "._", 2) == 0) /* AppleDouble: beside NAME, what macOS keeps of it */
		return 1;
	return strncmp(name, "PaxHeaders.", 11) == 0 && strspn(name + 11, "0123456789") == strlen(name + 11);
}

enum ek_left_out ek_patterns_of_name(const struct ek_patterns *s, const char *name)
{
	enum ek_left_out reason = EK_TAKEN;

	if (is_of_system(name))
		reason = EK_LEFT_SYSTEM;
	else if (name[0] == '.' && name[1] != 0 && strcmp(name, "..") != 0)
		reason = EK_LEFT_HIDDEN;
	return reason != EK_TAKEN && ek_patterns_names(s, name) ? EK_TAKEN : reason;
}

int ek_patterns_excludes(const struct ek_patterns *s, const char *path)
{
	return matches_any(s->exclude, s->exclude_count, path);
}

int ek_patterns_of_path(const struct ek_patterns *s, const char *path)
{
	int found = ek_patterns_excludes(s, path);

	if (found != 0)
		return found < 0 ? found : EK_LEFT_EXCLUDED;
	found = s->include_count > 0 ? matches_any(s->include, s->include_count, path) : 1;
	return found < 0 ? found : found == 1 ? EK_TAKEN : EK_LEFT_NOT_INCLUDED;
}

int ek_patterns_of_member(const struct ek_patterns *s, const char *path, size_t *folder)
{
	char part[LONGEST_NAME + 1];

	*folder = 0;
	for (const char *at = path + strspn(path, "/"); *at != 0; at += strspn(at, "/")) {
		const size_t size = strcspn(at, "/");
		/* No name left out is longer, but for hidden ones: those show at the start. */
		const size_t kept = size < LONGEST_NAME ? size : LONGEST_NAME;
		enum ek_left_out reason;

		memcpy(part, at, kept);
		part[kept] = 0;
		if ((reason = ek_patterns_of_name(s, part)) != EK_TAKEN) {
			*folder = at[size] != 0 ? (size_t)(at - path) + size : 0;
			return reason;
		}
		at += size;
	}
	return ek_patterns_of_path(s, path);
}
