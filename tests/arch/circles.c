#include "tests/arch/circles.h"

#include "tests/support/support.h"

static int unit_of(struct circles *c, const char *path)
{
	static const char insides[] = "_internal";
	const char *name = strrchr(path, '/'), *dot = strchr(name, '.');
	size_t length = (size_t)(dot - path);
	char *unit;

	if (length > sizeof insides && strncmp(dot - (sizeof insides - 1), insides, sizeof insides - 1) == 0)
		length -= sizeof insides - 1;
	for (int i = 0; i < c->unit_count; i++)
		if (strlen(c->units[i]) == length && strncmp(c->units[i], path, length) == 0)
			return i;
	assert_non_null(unit = strndup(path, length));
	assert_ok(ek_resize(&c->units, (size_t)c->unit_count + 1, sizeof *c->units));
	c->units[c->unit_count] = unit;
	return c->unit_count++;
}

void circles_note(struct circles *c, const char *from, const char *to)
{
	const int a = unit_of(c, from), b = unit_of(c, to);

	if (a == b)
		return;
	assert_ok(ek_resize(&c->edges, (size_t)c->edge_count + 1, sizeof *c->edges));
	c->edges[c->edge_count][0] = a;
	c->edges[c->edge_count++][1] = b;
}

/* A way through the units: those on it, and those that need no second look. */
struct way {
	const struct circles *circles;
	struct ek_buffer *out;
	int *steps, *seen;
	int count;
};

static void tell(const struct way *w, int unit)
{
	int first = w->count;

	while (w->steps[first - 1] != unit)
		first--;
	assert_ok(ek_buffer_printf(w->out, "circle of includes: "));
	for (int i = first - 1; i < w->count; i++)
		assert_ok(ek_buffer_printf(w->out, "%s -> ", w->circles->units[w->steps[i]]));
	assert_ok(ek_buffer_printf(w->out, "%s\n", w->circles->units[unit]));
}

static int is_on(const struct way *w, int unit)
{
	for (int i = 0; i < w->count; i++)
		if (w->steps[i] == unit)
			return 1;
	return 0;
}

static void go(struct way *w, int unit)
{
	if (is_on(w, unit)) {
		tell(w, unit);
		return;
	}
	if (w->seen[unit])
		return;
	w->seen[unit] = 1;
	w->steps[w->count++] = unit;
	for (int i = 0; i < w->circles->edge_count; i++)
		if (w->circles->edges[i][0] == unit)
			go(w, w->circles->edges[i][1]);
	w->count--;
}

void circles_tell(const struct circles *c, struct ek_buffer *out)
{
	struct way w = { .circles = c, .out = out };

	assert_ok(ek_alloc(&w.steps, (size_t)c->unit_count + 1, sizeof *w.steps));
	assert_ok(ek_alloc(&w.seen, (size_t)c->unit_count + 1, sizeof *w.seen));
	for (int i = 0; i < c->unit_count; i++)
		go(&w, i);
	free(w.steps);
	free(w.seen);
}

void circles_release(struct circles *c)
{
	for (int i = 0; i < c->unit_count; i++)
		free(c->units[i]);
	free(c->units);
	free(c->edges);
	*c = (struct circles){ 0 };
}
