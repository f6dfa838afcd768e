#include "rebalance/io/pickle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

static int bad(const struct ek_pickle *p, const char *what)
{
	return ek_fail(EK_EDATA, "%s: damaged pickle: %s, before byte %zu", p->path, what, p->at);
}

/* Make room for one more item of `size` bytes in `*array`. */
static int grow(struct ek_pickle *p, void *array, uint32_t *room, uint32_t count, size_t size)
{
	const uint32_t more = *room < 64 ? 64 : 2 * *room;
	int rc;

	if (count < *room)
		return 0;
	if (count >= EK_PICKLE_LIMIT)
		return ek_fail(EK_EDATA, "%s: its pickle holds more than %d values", p->path, EK_PICKLE_LIMIT);
	if ((rc = ek_resize(array, more, size)) == 0)
		*room = more;
	return rc;
}

int ek_pickle_new(struct ek_pickle *p, ek_pickle_ref *out, const struct ek_pickle_value *value)
{
	int rc = grow(p, &p->values, &p->value_room, p->value_count, sizeof *p->values);

	if (rc < 0)
		return rc;
	*out = p->value_count++;
	p->values[*out] = *value;
	return 0;
}

int ek_pickle_add(struct ek_pickle *p, ek_pickle_ref container, ek_pickle_ref key, ek_pickle_ref value)
{
	int rc = grow(p, &p->cells, &p->cell_room, p->cell_count, sizeof *p->cells);
	struct ek_pickle_value *c = &p->values[container];

	if (rc < 0)
		return rc;
	p->cells[p->cell_count] = (struct ek_pickle_cell){ .key = key, .value = value };
	if (c->as.cells.count++ == 0)
		c->as.cells.first = p->cell_count;
	else
		p->cells[c->as.cells.last].next = p->cell_count;
	c->as.cells.last = p->cell_count++;
	return 0;
}

int ek_pickle_items(const struct ek_pickle *p, ek_pickle_ref *out, ek_pickle_ref container, uint32_t least,
                    uint32_t most, const char *what)
{
	const struct ek_pickle_value *c = &p->values[container];
	uint32_t cell = c->as.cells.first;

	if ((c->kind != EK_PICKLE_TUPLE && c->kind != EK_PICKLE_LIST) || c->as.cells.count < least ||
	    c->as.cells.count > most)
		return ek_fail(EK_EDATA, "%s: damaged pickle: %s with other than %u to %u items, before byte %zu",
		               p->path, what, least, most, p->at);
	for (uint32_t i = 0; i < c->as.cells.count; i++, cell = p->cells[cell].next)
		out[i] = p->cells[cell].value;
	return (int)c->as.cells.count;
}

int ek_pickle_is(const struct ek_pickle *p, ek_pickle_ref ref, const char *text)
{
	const struct ek_pickle_value *v = &p->values[ref];

	return v->kind == EK_PICKLE_STRING && v->as.text.size == strlen(text) &&
	       memcmp(v->as.text.bytes, text, v->as.text.size) == 0;
}

static int push(struct ek_pickle *p, ek_pickle_ref ref)
{
	int rc = grow(p, &p->stack, &p->stack_room, p->stack_count, sizeof *p->stack);

	if (rc == 0)
		p->stack[p->stack_count++] = ref;
	return rc;
}

static int push_value(struct ek_pickle *p, const struct ek_pickle_value *value)
{
	ek_pickle_ref ref;
	int rc = ek_pickle_new(p, &ref, value);

	return rc < 0 ? rc : push(p, ref);
}

/* The lowest height the stack may be popped to. */
static uint32_t stack_floor(const struct ek_pickle *p)
{
	return p->mark_count > 0 ? p->marks[p->mark_count - 1] : 0;
}

static int pop(struct ek_pickle *p, ek_pickle_ref *out)
{
	*out = 0;
	if (p->stack_count <= stack_floor(p))
		return bad(p, "its stack is empty");
	*out = p->stack[--p->stack_count];
	return 0;
}

static int top(const struct ek_pickle *p, ek_pickle_ref *out)
{
	*out = 0;
	if (p->stack_count <= stack_floor(p))
		return bad(p, "its stack is empty");
	*out = p->stack[p->stack_count - 1];
	return 0;
}

/* `*from` = the stack height at the last mark, which is taken away. */
static int pop_mark(struct ek_pickle *p, uint32_t *from)
{
	*from = 0;
	if (p->mark_count == 0)
		return bad(p, "a mark is missing");
	*from = p->marks[--p->mark_count];
	return 0;
}

/* The next `size` bytes. */
static int take(struct ek_pickle *p, const uint8_t **out, uint64_t size)
{
	*out = p->bytes;
	if (size > p->size - p->at)
		return bad(p, "it ends too early");
	*out = p->bytes + p->at;
	p->at += size;
	return 0;
}

/* The operations. `argument` is the number that follows the opcode, or the table's. */

static int op_nothing(struct ek_pickle *p, uint64_t argument)
{
	(void)p;
	(void)argument;
	return 0;
}

static int op_protocol(struct ek_pickle *p, uint64_t argument)
{
	return argument >= 2 && argument <= 5 ? 0 : bad(p, "its protocol is not 2 to 5");
}

static int op_mark(struct ek_pickle *p, uint64_t argument)
{
	int rc = grow(p, &p->marks, &p->mark_room, p->mark_count, sizeof *p->marks);

	(void)argument;
	if (rc == 0)
		p->marks[p->mark_count++] = p->stack_count;
	return rc;
}

static int op_pop(struct ek_pickle *p, uint64_t argument)
{
	ek_pickle_ref ref;

	if (p->mark_count > 0 && stack_floor(p) == p->stack_count)
		return pop_mark(p, &ref); /* POP takes away a mark as well */
	(void)argument;
	return pop(p, &ref);
}

static int op_pop_mark(struct ek_pickle *p, uint64_t argument)
{
	(void)argument;
	return pop_mark(p, &p->stack_count);
}

static int op_dup(struct ek_pickle *p, uint64_t argument)
{
	ek_pickle_ref ref;
	int rc = top(p, &ref);

	(void)argument;
	return rc < 0 ? rc : push(p, ref);
}

static int op_kind(struct ek_pickle *p, uint64_t argument)
{
	return push_value(p, &(struct ek_pickle_value){ .kind = (enum ek_pickle_kind)argument });
}

static int op_bool(struct ek_pickle *p, uint64_t argument)
{
	return push_value(p, &(struct ek_pickle_value){ .kind = EK_PICKLE_BOOL, .as.integer = (int64_t)argument });
}

static int op_int(struct ek_pickle *p, uint64_t argument)
{
	return push_value(p, &(struct ek_pickle_value){ .kind = EK_PICKLE_INT, .as.integer = (int64_t)argument });
}

static int op_int32(struct ek_pickle *p, uint64_t argument)
{
	return op_int(p, (uint64_t)(int64_t)(int32_t)(uint32_t)argument);
}

static int op_long(struct ek_pickle *p, uint64_t argument)
{
	struct ek_pickle_value value = { .kind = EK_PICKLE_LONG };
	const uint8_t *bytes;
	uint64_t bits = 0;
	int rc;

	if ((rc = take(p, &bytes, argument)) < 0)
		return rc;
	value.as.text.bytes = (const char *)bytes;
	value.as.text.size = (size_t)argument;
	if (argument > 8)
		return push_value(p, &value);
	if (argument > 0 && bytes[argument - 1] & 0x80)
		bits = UINT64_MAX;
	for (uint64_t i = argument; i-- > 0;)
		bits = bits << 8 | bytes[i];
	return op_int(p, bits);
}

static int op_float(struct ek_pickle *p, uint64_t argument)
{
	(void)argument;
	return op_kind(p, EK_PICKLE_FLOAT);
}

static int push_text(struct ek_pickle *p, enum ek_pickle_kind kind, uint64_t size)
{
	struct ek_pickle_value value = { .kind = kind };
	const uint8_t *bytes;
	int rc;

	if ((rc = take(p, &bytes, size)) < 0)
		return rc;
	value.as.text.bytes = (const char *)bytes;
	value.as.text.size = (size_t)size;
	return push_value(p, &value);
}

static int op_string(struct ek_pickle *p, uint64_t argument)
{
	return push_text(p, EK_PICKLE_STRING, argument);
}

static int op_bytes(struct ek_pickle *p, uint64_t argument)
{
	return push_text(p, EK_PICKLE_BYTES, argument);
}

/* The top `stack_count - from` values become a tuple. */
static int make_tuple(struct ek_pickle *p, uint32_t from)
{
	ek_pickle_ref tuple;
	int rc;

	EK_TRY(ek_pickle_new(p, &tuple, &(struct ek_pickle_value){ .kind = EK_PICKLE_TUPLE }));
	for (uint32_t i = from; i < p->stack_count; i++)
		EK_TRY(ek_pickle_add(p, tuple, 0, p->stack[i]));
	p->stack_count = from;
	EK_TRY(push(p, tuple));
out:
	return rc;
}

static int op_tuple(struct ek_pickle *p, uint64_t argument)
{
	uint32_t from;
	int rc = pop_mark(p, &from);

	(void)argument;
	return rc < 0 ? rc : make_tuple(p, from);
}

static int op_tuple_of(struct ek_pickle *p, uint64_t argument)
{
	if (p->stack_count - stack_floor(p) < argument)
		return bad(p, "its stack is empty");
	return make_tuple(p, p->stack_count - (uint32_t)argument);
}

/* Move what lies from `from` up into the container below; `step` 2 takes pairs. Opaque objects swallow it. */
static int move_items(struct ek_pickle *p, uint32_t from, uint32_t step)
{
	ek_pickle_ref container;
	uint32_t count = p->stack_count - from;
	enum ek_pickle_kind kind;
	int rc;

	if (from == 0 || from <= stack_floor(p) || count % step != 0)
		return bad(p, "items without a container");
	container = p->stack[from - 1];
	kind = p->values[container].kind;
	if (kind == EK_PICKLE_OBJECT && p->values[container].as.object.tag == EK_PICKLE_OPAQUE)
		count = 0;
	else if (kind != (step == 2 ? EK_PICKLE_DICT : EK_PICKLE_LIST))
		return bad(p, "items for what cannot hold them");
	for (uint32_t i = from; i < from + count; i += step)
		EK_TRY(ek_pickle_add(p, container, p->stack[i], p->stack[i + step - 1]));
	p->stack_count = from;
	rc = 0;
out:
	return rc;
}

static int op_append(struct ek_pickle *p, uint64_t argument)
{
	if (p->stack_count - stack_floor(p) < argument)
		return bad(p, "its stack is empty");
	return move_items(p, p->stack_count - (uint32_t)argument, (uint32_t)argument);
}

static int op_appends(struct ek_pickle *p, uint64_t argument)
{
	uint32_t from;
	int rc = pop_mark(p, &from);

	return rc < 0 ? rc : move_items(p, from, (uint32_t)argument);
}

static int op_frozen_set(struct ek_pickle *p, uint64_t argument)
{
	int rc = op_pop_mark(p, argument);

	return rc < 0 ? rc : op_kind(p, EK_PICKLE_OBJECT);
}

static int op_get(struct ek_pickle *p, uint64_t argument)
{
	if (argument >= p->memo_count || p->memo[argument] == UINT32_MAX)
		return bad(p, "a memo that was never put");
	return push(p, p->memo[argument]);
}

static int op_put(struct ek_pickle *p, uint64_t argument)
{
	ek_pickle_ref ref;
	int rc;

	EK_TRY(top(p, &ref));
	/* Python numbers memos one after the other; one far ahead is an attempt on our memory. */
	if (argument > (uint64_t)p->memo_count + 255)
		return bad(p, "a memo far beyond the others");
	while (p->memo_count <= argument) {
		EK_TRY(grow(p, &p->memo, &p->memo_room, p->memo_count, sizeof *p->memo));
		p->memo[p->memo_count++] = UINT32_MAX;
	}
	p->memo[argument] = ref;
out:
	return rc;
}

static int op_memoize(struct ek_pickle *p, uint64_t argument)
{
	(void)argument;
	return op_put(p, p->memo_count);
}

static int same_text(const char *bytes, size_t size, const char *text)
{
	return size == strlen(text) && memcmp(bytes, text, size) == 0;
}

static int push_global(struct ek_pickle *p, const char *module, size_t module_size, const char *name, size_t name_size)
{
	enum { SHOWN = 200 };
	const int module_shown = (int)(module_size < SHOWN ? module_size : SHOWN);
	const int name_shown = (int)(name_size < SHOWN ? name_size : SHOWN);

	for (const struct ek_pickle_global *g = p->globals; g->module != NULL; g++)
		if (same_text(module, module_size, g->module) && same_text(name, name_size, g->name))
			return push_value(p, &(struct ek_pickle_value){ .kind = EK_PICKLE_GLOBAL, .as.global = g });
	return ek_fail(
		EK_EDATA,
		"%s: its pickle asks for %.*s.%.*s, which is never run here; only tensors and plain values are read",
		p->path, module_shown, module, name_shown, name);
}

static int take_line(struct ek_pickle *p, const char **out, size_t *size)
{
	const uint8_t *start = p->bytes + p->at, *end = NULL;

	if (p->at < p->size)
		end = memchr(start, '\n', p->size - p->at);
	*out = (const char *)start;
	*size = end != NULL ? (size_t)(end - start) : 0;
	if (end == NULL)
		return bad(p, "it ends too early");
	p->at += *size + 1;
	return 0;
}

static int op_global(struct ek_pickle *p, uint64_t argument)
{
	const char *module, *name;
	size_t module_size, name_size;
	int rc;

	(void)argument;
	EK_TRY(take_line(p, &module, &module_size));
	EK_TRY(take_line(p, &name, &name_size));
	EK_TRY(push_global(p, module, module_size, name, name_size));
out:
	return rc;
}

static int op_stack_global(struct ek_pickle *p, uint64_t argument)
{
	const struct ek_pickle_value *module, *name;
	ek_pickle_ref refs[2];
	int rc;

	(void)argument;
	EK_TRY(pop(p, &refs[1]));
	EK_TRY(pop(p, &refs[0]));
	module = &p->values[refs[0]];
	name = &p->values[refs[1]];
	if (module->kind != EK_PICKLE_STRING || name->kind != EK_PICKLE_STRING)
		return bad(p, "a global without a name");
	EK_TRY(push_global(p, module->as.text.bytes, module->as.text.size, name->as.text.bytes, name->as.text.size));
out:
	return rc;
}

static int op_reduce(struct ek_pickle *p, uint64_t argument)
{
	const struct ek_pickle_global *global;
	ek_pickle_ref function, arguments, made;
	int rc;

	(void)argument;
	EK_TRY(pop(p, &arguments));
	EK_TRY(pop(p, &function));
	if (p->values[function].kind != EK_PICKLE_GLOBAL)
		return bad(p, "a call of what cannot be called");
	if (p->values[arguments].kind != EK_PICKLE_TUPLE)
		return bad(p, "a call without arguments");
	global = p->values[function].as.global;
	if (global->call == NULL)
		return ek_fail(EK_EDATA, "%s: its pickle calls %s.%s, which is never run here", p->path, global->module,
		               global->name);
	EK_TRY(global->call(p, global, &made, arguments));
	EK_TRY(push(p, made));
out:
	return rc;
}

/* NEWOBJ (argument 1) and NEWOBJ_EX (2): class.__new__(*arguments); ours are made empty, and only inert ones. */
static int op_new_object(struct ek_pickle *p, uint64_t argument)
{
	const struct ek_pickle_value *class;
	ek_pickle_ref ref;
	int rc;

	for (uint64_t i = 0; i < argument; i++)
		EK_TRY(pop(p, &ref));
	EK_TRY(pop(p, &ref));
	class = &p->values[ref];
	if (class->kind != EK_PICKLE_GLOBAL)
		return bad(p, "an object of what is no class");
	if (!class->as.global->inert)
		return ek_fail(EK_EDATA, "%s: its pickle makes an object of %s.%s, which is never run here", p->path,
		               class->as.global->module, class->as.global->name);
	EK_TRY(op_kind(p, EK_PICKLE_OBJECT));
out:
	return rc;
}

/* Attributes set on an object carry no tensor that a reader could name: they are dropped. */
static int op_build(struct ek_pickle *p, uint64_t argument)
{
	ek_pickle_ref state, object;
	int rc;

	(void)argument;
	EK_TRY(pop(p, &state));
	EK_TRY(top(p, &object));
	if (p->values[object].kind != EK_PICKLE_DICT && p->values[object].kind != EK_PICKLE_OBJECT)
		return bad(p, "attributes for what has none");
out:
	return rc;
}

static int op_persistent(struct ek_pickle *p, uint64_t argument)
{
	ek_pickle_ref id, made;
	int rc;

	(void)argument;
	EK_TRY(pop(p, &id));
	EK_TRY(p->persistent(p, &made, id));
	EK_TRY(push(p, made));
out:
	return rc;
}

enum { STOP = '.' };

static const struct {
	int (*run)(struct ek_pickle *p, uint64_t argument);
	uint8_t width;    /* bytes of the little-endian number after the opcode */
	uint8_t argument; /* where width is 0 */
} operations[256] = {
	[0x80] = { op_protocol, 1, 0 },
	[0x95] = { op_nothing, 8, 0 }, /* FRAME */
	['('] = { op_mark, 0, 0 },
	['0'] = { op_pop, 0, 0 },
	['1'] = { op_pop_mark, 0, 0 },
	['2'] = { op_dup, 0, 0 },
	['N'] = { op_kind, 0, EK_PICKLE_NONE },
	[0x88] = { op_bool, 0, 1 },
	[0x89] = { op_bool, 0, 0 },
	['K'] = { op_int, 1, 0 },
	['M'] = { op_int, 2, 0 },
	['J'] = { op_int32, 4, 0 },
	[0x8a] = { op_long, 1, 0 },
	[0x8b] = { op_long, 4, 0 },
	['G'] = { op_float, 8, 0 },
	['U'] = { op_string, 1, 0 }, /* Python 2's str, there the type of keys */
	['T'] = { op_string, 4, 0 },
	[0x8c] = { op_string, 1, 0 },
	['X'] = { op_string, 4, 0 },
	[0x8d] = { op_string, 8, 0 },
	['C'] = { op_bytes, 1, 0 },
	['B'] = { op_bytes, 4, 0 },
	[0x8e] = { op_bytes, 8, 0 },
	[0x96] = { op_bytes, 8, 0 }, /* BYTEARRAY8 */
	[')'] = { op_kind, 0, EK_PICKLE_TUPLE },
	['t'] = { op_tuple, 0, 0 },
	[0x85] = { op_tuple_of, 0, 1 },
	[0x86] = { op_tuple_of, 0, 2 },
	[0x87] = { op_tuple_of, 0, 3 },
	[']'] = { op_kind, 0, EK_PICKLE_LIST },
	['a'] = { op_append, 0, 1 },
	['e'] = { op_appends, 0, 1 },
	['}'] = { op_kind, 0, EK_PICKLE_DICT },
	['s'] = { op_append, 0, 2 },
	['u'] = { op_appends, 0, 2 },
	[0x8f] = { op_kind, 0, EK_PICKLE_OBJECT }, /* EMPTY_SET */
	[0x90] = { op_appends, 0, 1 },             /* ADDITEMS */
	[0x91] = { op_frozen_set, 0, 0 },
	['h'] = { op_get, 1, 0 },
	['j'] = { op_get, 4, 0 },
	['q'] = { op_put, 1, 0 },
	['r'] = { op_put, 4, 0 },
	[0x94] = { op_memoize, 0, 0 },
	['c'] = { op_global, 0, 0 },
	[0x93] = { op_stack_global, 0, 0 },
	['R'] = { op_reduce, 0, 0 },
	[0x81] = { op_new_object, 0, 1 },
	[0x92] = { op_new_object, 0, 2 },
	['b'] = { op_build, 0, 0 },
	['Q'] = { op_persistent, 0, 0 },
};

static int step(struct ek_pickle *p, uint8_t opcode)
{
	uint64_t argument = operations[opcode].argument;
	const uint8_t *bytes;
	int rc;

	if (operations[opcode].run == NULL)
		return ek_fail(EK_EDATA, "%s: its pickle has opcode 0x%02x at byte %zu, which tensors do not need",
		               p->path, opcode, p->at - 1);
	if (operations[opcode].width > 0) {
		EK_TRY(take(p, &bytes, operations[opcode].width));
		argument = 0;
		memcpy(&argument, bytes, operations[opcode].width);
	}
	EK_TRY(operations[opcode].run(p, argument));
out:
	return rc;
}

int ek_pickle_load(struct ek_pickle *p, ek_pickle_ref *root)
{
	const uint8_t *opcode;
	int rc;

	p->stack_count = p->memo_count = p->mark_count = 0;
	for (;;) {
		EK_TRY(take(p, &opcode, 1));
		if (*opcode == STOP)
			break;
		EK_TRY(step(p, *opcode));
	}
	EK_TRY(pop(p, root));
out:
	return rc;
}

void ek_pickle_release(struct ek_pickle *p)
{
	free(p->values);
	free(p->cells);
	free(p->stack);
	free(p->memo);
	free(p->marks);
	*p = (struct ek_pickle){ 0 };
}
