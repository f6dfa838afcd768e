/* A row of a table of options: what a step or a command can be told. */
#ifndef EK_PIPELINE_OPTION_H
#define EK_PIPELINE_OPTION_H

#include <stdint.h>

#include "rebalance/base/json.h"

enum ek_option_kind {
	EK_KIND_FLAG,    /* int: 1 if given; --no-NAME makes a recorded one 0 */
	EK_KIND_INTEGER, /* int64_t in [low, high] */
	EK_KIND_NUMBER,  /* double in [low, high] */
	EK_KIND_STRING,  /* const char * */
	EK_KIND_PATH,    /* const char *, made absolute */
	EK_KIND_CHOICE,  /* int: index into choices */
	EK_KIND_LIST     /* struct ek_list: one text each time it is given; --no-NAME empties a recorded one */
};

enum { EK_LIST_MAX = 64 };
struct ek_list {
	const char *items[EK_LIST_MAX];
	int count;
};

struct ek_choice {
	const char *name, *help;
};

struct ek_option {
	const char *name; /* without "--"; NULL ends a table */
	char letter;      /* short form, or 0 */
	enum ek_option_kind kind;
	void *target;         /* holds the default before parsing */
	const char *argument; /* what --help calls the value */
	const char *help;
	double low, high;
	const struct ek_choice *choices; /* ends with a NULL name */
	const char *zero;                /* INTEGER, NUMBER: a word that stands for 0, as "auto", or NULL */
	const char *standard;            /* INTEGER: what -1, the word "default", stands for, in --help; or NULL */
	const char *forgets; /* names of options, with spaces: given this one, what was recorded of those is dropped */
	int (*check)(const char *text); /* STRING, LIST: what can be told wrong of a value at once; NULL: nothing */
	int recorded;                   /* 1: changes results, so run.json or a recipe keeps it */
	int given;                      /* set by parsing: the user, or a recipe, gave it */
};

#endif
