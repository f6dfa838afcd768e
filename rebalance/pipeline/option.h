/*
 * Tables of options: what a step or a command can be told. A row is bound to a field of the struct of options that it
 * sets; from the same rows come parsing, --help, the manual page and shell completion (the command line), what run.json
 * and a recipe keep, and its comparison with what is asked for now.
 *
 * Rows are constant. A table is rows over one struct of values, with a bit for each row that the user, or a recipe,
 * gave. Texts that values point to are the caller's, or kept in an ek_strings.
 *
 * Messages name an option so: 'keep'. Not for several threads at once.
 */
#ifndef EK_PIPELINE_OPTION_H
#define EK_PIPELINE_OPTION_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/json.h"

enum ek_option_kind {
	EK_KIND_FLAG,    /* int: 1 if given; can be taken back if it is recorded */
	EK_KIND_INTEGER, /* int64_t or uint64_t in [low, high] */
	EK_KIND_NUMBER,  /* double in [low, high] */
	EK_KIND_STRING,  /* const char * */
	EK_KIND_PATH,    /* const char *, made absolute */
	EK_KIND_CHOICE,  /* int, or an enum: index into choices */
	EK_KIND_LIST     /* struct ek_list: one text each time it is given; can be emptied if it is recorded */
};

enum { EK_LIST_MAX = 64 };
struct ek_list {
	const char *items[EK_LIST_MAX];
	int count;
};

struct ek_choice {
	const char *name, *help;
};

/* What a field holds, so that a test can hold it against the kind of the row. */
enum ek_held { EK_HOLDS_INT, EK_HOLDS_INT64, EK_HOLDS_DOUBLE, EK_HOLDS_TEXT, EK_HOLDS_LIST };

struct ek_option {
	const char *name; /* without "--"; NULL ends a table */
	char letter;      /* short form, or 0 */
	enum ek_option_kind kind;
	enum ek_held held;
	size_t offset;        /* of the field in the struct of values; see EK_FIELD */
	const char *argument; /* what --help calls the value */
	const char *help;
	double low, high;
	const void *choices;  /* rows that begin with a struct ek_choice, the last without a name; or NULL */
	size_t choice_size;   /* of a row; 0: a struct ek_choice */
	const char *zero;     /* INTEGER, NUMBER: a word that stands for 0, as "auto", or NULL */
	const char *standard; /* INTEGER: what -1, the word "default", stands for, in --help; or NULL */
	const char *forgets;  /* names of options, with spaces: given this one, what was recorded of those is
	                         dropped */
	const char *needs; /* names with spaces, NAME or NAME=WORD: it means nothing unless one of those is given, or a
	                      text other than "none", or says WORD; or NULL */
	const char *excludes; /* the name of one that cannot be given with it, or NULL */
	int (*check)(
		const char *text); /* what can be told wrong of a value at once, or, by ek_options_check, of the
	                              file of a PATH, which is read long after; STRING, LIST, PATH; NULL: nothing */
	int recorded;              /* 1: changes results, so run.json or a recipe keeps it */
};

/* Bound to `field` of struct `type`. */
#define EK_FIELD(type, field)                                                                                          \
	.offset = offsetof(type, field), .held = _Generic(((type *)0)->field,                                          \
		int: EK_HOLDS_INT,                                                                                     \
		unsigned: EK_HOLDS_INT,                                                                                \
		int64_t: EK_HOLDS_INT64,                                                                               \
		uint64_t: EK_HOLDS_INT64,                                                                              \
		double: EK_HOLDS_DOUBLE,                                                                               \
		const char *: EK_HOLDS_TEXT,                                                                           \
		struct ek_list: EK_HOLDS_LIST)

/* In a row: the kind, the field and what goes with the kind. `word`: what --help calls the value. */
#define EK_FLAG(type, field) .kind = EK_KIND_FLAG, EK_FIELD(type, field)
#define EK_INTEGER(type, field, word, low_, high_)                                                                     \
	.kind = EK_KIND_INTEGER, EK_FIELD(type, field), .argument = (word), .low = (low_), .high = (high_)
#define EK_NUMBER(type, field, word, low_, high_)                                                                      \
	.kind = EK_KIND_NUMBER, EK_FIELD(type, field), .argument = (word), .low = (low_), .high = (high_)
#define EK_STRING(type, field, word) .kind = EK_KIND_STRING, EK_FIELD(type, field), .argument = (word)
#define EK_PATH(type, field, word) .kind = EK_KIND_PATH, EK_FIELD(type, field), .argument = (word)
#define EK_LIST(type, field, word) .kind = EK_KIND_LIST, EK_FIELD(type, field), .argument = (word)
#define EK_CHOICE(type, field, word, choices_)                                                                         \
	.kind = EK_KIND_CHOICE, EK_FIELD(type, field), .argument = (word), .choices = (choices_)

struct ek_option_table {
	const char *title;            /* heading in --help; "": none of its own; NULL ends a list of tables */
	const struct ek_option *rows; /* at most 64 */
	void *values;
	uint64_t *given; /* bit i: row i */
};

/* Texts that live as long as this. */
struct ek_strings {
	char **items;
	int count;
};

/* `*kept` = a copy of `text`. */
int ek_strings_keep(const char **kept, struct ek_strings *strings, const char *text);
/* The same, made absolute. */
int ek_strings_keep_path(const char **kept, struct ek_strings *strings, const char *path);
void ek_strings_release(struct ek_strings *strings);

/* Choice `i` of an option; its name is NULL behind the last. */
struct ek_choice ek_option_choice(const struct ek_option *option, int i);
/* The field of an option. */
void *ek_option_field(const struct ek_option *option, const void *values);
/* The row of this name, or NULL. */
const struct ek_option *ek_option_find(const struct ek_option_table *table, const char *name);
int ek_option_is_given(const struct ek_option_table *table, const char *name);

/* Set a value as the user writes it; `text` is not copied unless a path is made absolute. EK_EUSAGE. */
int ek_option_set(struct ek_strings *strings, const struct ek_option *option, void *values, const char *text);
/* 0: the field is 0, without a text, or an empty list. */
int ek_option_is_set(const struct ek_option *option, const void *values);
/* Make it so. */
void ek_option_unset(const struct ek_option *option, void *values);
/* 1: what run.json keeps of it can be taken back. */
int ek_option_is_negatable(const struct ek_option *option);

/* Is there such a file as a PATH is to name, and what it is to be? EK_EIO, EK_EDATA. */
int ek_option_check_file(const struct ek_option *option, const void *values);
/* Are the options that are given ones that go together (needs, excludes), and files with a check as they are to be?
 * EK_EUSAGE; as the check. */
int ek_options_check(const struct ek_option_table *table);

/* A new object with the recorded options of rows, as the user would write them. */
int ek_options_to_json(cJSON **out, const struct ek_option *rows, const void *values);
/* Give recorded options that were not given the value that `json` has. Values that do not fit are left alone: the
 * default then differs from the record, and the step is stale. */
int ek_options_from_json(struct ek_strings *strings, const struct ek_option_table *table, const cJSON *json);
/* The same, of all of `json`, strictly: EK_EDATA, beginning with `where`, names what is no recorded option of the table
 * or does not fit. Those set count as given. */
int ek_options_replay(struct ek_strings *strings, const struct ek_option_table *table, const cJSON *json,
                      const char *where);

/* The name nearest to `word` by edit distance, or NULL if none is near. `names` ends with NULL. */
const char *ek_nearest_name(const char *word, const char *const *names);

#endif
