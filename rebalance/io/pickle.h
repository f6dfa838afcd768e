/*
 * The part of Python's pickle that PyTorch checkpoints need, read into inert values. Nothing is imported and nothing is
 * run: a class or function may appear only if the caller's table of globals lists it, and what it makes is made by the
 * caller's C function. Every other global ends the reading with its name.
 *
 * Protocols 2 to 5, binary opcodes only. Memory is at most EK_PICKLE_LIMIT values and as many container cells, and time
 * is linear in the bytes read. https://docs.python.org/3/library/pickle.html, CPython's Lib/pickletools.py
 */
#ifndef EK_IO_PICKLE_H
#define EK_IO_PICKLE_H

#include <stddef.h>
#include <stdint.h>

enum { EK_PICKLE_LIMIT = 1 << 22 };

enum ek_pickle_kind {
	EK_PICKLE_NONE,
	EK_PICKLE_BOOL,   /* integer */
	EK_PICKLE_INT,    /* integer */
	EK_PICKLE_LONG,   /* text: little-endian two's complement of more than 8 bytes */
	EK_PICKLE_FLOAT,  /* nothing: no reader of ours needs one */
	EK_PICKLE_STRING, /* text: UTF-8, not checked */
	EK_PICKLE_BYTES,  /* text */
	EK_PICKLE_TUPLE,  /* cells */
	EK_PICKLE_LIST,   /* cells */
	EK_PICKLE_DICT,   /* cells, with keys; one key twice is kept twice */
	EK_PICKLE_GLOBAL, /* global */
	EK_PICKLE_OBJECT  /* what a global's function made: tag and index are its own */
};

enum { EK_PICKLE_OPAQUE = 0 }; /* the tag of an object about which nothing is known */

/* Number of a value in `values`. */
typedef uint32_t ek_pickle_ref;

struct ek_pickle_value {
	enum ek_pickle_kind kind;
	union {
		int64_t integer;
		struct {
			const char *bytes; /* in the pickle; no NUL */
			size_t size;
		} text;
		struct {
			uint32_t first, last, count; /* chain in `cells`; first and last are valid if count > 0 */
		} cells;
		const struct ek_pickle_global *global;
		struct {
			int tag;
			uint32_t index;
		} object;
	} as;
};

struct ek_pickle_cell {
	ek_pickle_ref key, value; /* key only in a dict */
	uint32_t next;
};

struct ek_pickle;

/* A class or function that may appear. Tables end with a NULL module. */
struct ek_pickle_global {
	const char *module, *name;
	/* What calling it with a tuple of arguments makes; NULL: calling it is refused. */
	int (*call)(struct ek_pickle *p, const struct ek_pickle_global *self, ek_pickle_ref *out,
	            ek_pickle_ref arguments);
	int inert; /* 1: instances may be made without a call (NEWOBJ): they are opaque, their state is dropped */
	int tag;   /* for `call` */
};

struct ek_pickle {
	/* Set by the caller, the rest zero. */
	const char *path; /* starts messages */
	const uint8_t *bytes;
	size_t size, at;
	const struct ek_pickle_global *globals;
	int (*persistent)(struct ek_pickle *p, ek_pickle_ref *out, ek_pickle_ref id); /* BINPERSID */
	void *context;

	struct ek_pickle_value *values;
	struct ek_pickle_cell *cells;
	ek_pickle_ref *stack, *memo;
	uint32_t *marks; /* stack heights */
	uint32_t value_count, cell_count, stack_count, memo_count, mark_count;
	uint32_t value_room, cell_room, stack_room, memo_room, mark_room;
};

/* Read the pickle that starts at `at`, and leave `at` behind it. May be called again for the next one; values of the
 * earlier ones stay. EK_EDATA: damaged, too large, or holds what the table does not list (named). */
int ek_pickle_load(struct ek_pickle *p, ek_pickle_ref *root);
void ek_pickle_release(struct ek_pickle *p);

/* A new value; EK_EDATA at the limit. */
int ek_pickle_new(struct ek_pickle *p, ek_pickle_ref *out, const struct ek_pickle_value *value);
/* Add at the end of a tuple, list or dict. */
int ek_pickle_add(struct ek_pickle *p, ek_pickle_ref container, ek_pickle_ref key, ek_pickle_ref value);
/* The items of a tuple or list, of which there must be `least` to `most`; `out` has room for most. Returns their
 * number, or EK_EDATA saying that `what` has other arguments. */
int ek_pickle_items(const struct ek_pickle *p, ek_pickle_ref *out, ek_pickle_ref container, uint32_t least,
                    uint32_t most, const char *what);
/* Is it a string with this text? */
int ek_pickle_is(const struct ek_pickle *p, ek_pickle_ref ref, const char *text);

#endif
