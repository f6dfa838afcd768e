#include "tests/train/nn/fake_device.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "rebalance/base/error.h"
#include "train/nn/net_internal.h"

enum { BLOCKS = 1024 };

static struct {
	void *memory;
	size_t bytes;
} blocks[BLOCKS];
static int inside;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void protect(int rights)
{
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i].memory != NULL && mprotect(blocks[i].memory, blocks[i].bytes, rights) != 0)
			assert(0);
}

static void enter(void)
{
	(void)pthread_mutex_lock(&lock);
	if (inside++ == 0)
		protect(PROT_READ | PROT_WRITE);
	(void)pthread_mutex_unlock(&lock);
}

static void leave(void)
{
	(void)pthread_mutex_lock(&lock);
	if (--inside == 0)
		protect(PROT_NONE);
	(void)pthread_mutex_unlock(&lock);
}

static int alloc(void **out, size_t bytes)
{
	int i = 0;

	(void)pthread_mutex_lock(&lock);
	while (i < BLOCKS && blocks[i].memory != NULL)
		i++;
	assert(i < BLOCKS);
	*out = mmap(NULL, bytes + 1, inside ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (*out != MAP_FAILED) {
		blocks[i].memory = *out;
		blocks[i].bytes = bytes + 1;
	}
	(void)pthread_mutex_unlock(&lock);
	return *out != MAP_FAILED ? 0 : ek_fail(EK_ENOMEM, "no memory on the fake device");
}

static void upload(void *to, const void *host, size_t bytes)
{
	enter();
	ek_device_cpu.upload(to, host, bytes);
	leave();
}

static void download(void *host, const void *from, size_t bytes)
{
	enter();
	ek_device_cpu.download(host, from, bytes);
	leave();
}

/* Copies beside the work are made as late as they may be: what is sent when it is waited for, what is fetched
 * likewise. */
enum { COPIES = 1024 };

struct copies {
	struct {
		void *to;
		const void *from;
		size_t bytes;
	} of[COPIES];
	int count;
};
static struct copies sent, fetched;

static void put_off(struct copies *c, void *to, const void *from, size_t bytes)
{
	(void)pthread_mutex_lock(&lock);
	assert(c->count < COPIES);
	c->of[c->count].to = to;
	c->of[c->count].from = from;
	c->of[c->count++].bytes = bytes;
	(void)pthread_mutex_unlock(&lock);
}

static void make(struct copies *c)
{
	enter();
	(void)pthread_mutex_lock(&lock);
	for (int i = 0; i < c->count; i++)
		memcpy(c->of[i].to, c->of[i].from, c->of[i].bytes);
	c->count = 0;
	(void)pthread_mutex_unlock(&lock);
	leave();
}

static void send(void *to, const void *host, size_t bytes)
{
	put_off(&sent, to, host, bytes);
}

static void arrive(void)
{
	make(&sent);
}

static void received(void)
{
}

static void fetch(void *host, const void *from, size_t bytes)
{
	put_off(&fetched, host, from, bytes);
}

static void landed(void)
{
	make(&fetched);
}

/* When what may use it is done. */
static void release(void *memory)
{
	make(&sent);
	make(&fetched);
	(void)pthread_mutex_lock(&lock);
	for (int i = 0; memory != NULL && i < BLOCKS; i++)
		if (blocks[i].memory == memory) {
			(void)munmap(memory, blocks[i].bytes);
			blocks[i].memory = NULL;
		}
	(void)pthread_mutex_unlock(&lock);
}

static void zero(void *to, size_t bytes)
{
	enter();
	ek_device_cpu.zero(to, bytes);
	leave();
}

static void add(float *sum, const float *x, size_t count)
{
	enter();
	ek_device_cpu.add(sum, x, count);
	leave();
}

static int sum_squares(struct ek_store *s, double *sum)
{
	int rc;

	enter();
	rc = ek_device_cpu.sum_squares(s, sum);
	leave();
	return rc;
}

static int step(struct ek_store *s, double clip)
{
	int rc;

	enter();
	rc = ek_device_cpu.step(s, clip);
	leave();
	return rc;
}

static int move_codes(struct ek_codebook *c, uint64_t step, float *codes, float *average)
{
	int rc;

	enter();
	rc = ek_device_cpu.move_codes(c, step, codes, average);
	leave();
	return rc;
}

static int move(const struct ek_samples *s, const struct ek_move *m)
{
	int rc;

	enter();
	rc = ek_device_cpu.move(s, m);
	leave();
	return rc;
}

static int normals(const struct ek_samples *s, double *out, uint64_t stream, uint64_t step)
{
	int rc;

	enter();
	rc = ek_device_cpu.normals(s, out, stream, step);
	leave();
	return rc;
}

static void copy(void *to, const void *from, size_t bytes)
{
	enter();
	ek_device_cpu.copy(to, from, bytes);
	leave();
}

static int load(struct ek_net *net, struct ek_net_op *op)
{
	int rc;

	enter();
	rc = ek_device_cpu.codes[op->kind]->load(net, op);
	leave();
	return rc;
}

static int forward(struct ek_net_state *s, const struct ek_net_op *op)
{
	int rc;

	enter();
	rc = ek_device_cpu.codes[op->kind]->forward(s, op);
	leave();
	return rc;
}

static int backward(struct ek_net_state *s, const struct ek_net_op *op)
{
	int rc;

	enter();
	rc = ek_device_cpu.codes[op->kind]->backward(s, op);
	leave();
	return rc;
}

static int images(struct ek_net_state *s, const struct ek_net_op *op)
{
	int rc;

	enter();
	rc = ek_device_cpu.codes[op->kind]->images(s, op);
	leave();
	return rc;
}

const struct ek_device *fake_device(void)
{
	static struct ek_net_code codes[EK_NET_KIND_COUNT];
	static struct ek_device device;

	device = (struct ek_device){ .name = "fake device",
		                     .has_bf16 = ek_device_cpu.has_bf16,
		                     .available = ek_device_cpu.available,
		                     .alloc_host = ek_device_cpu.alloc_host,
		                     .release_host = ek_device_cpu.release_host,
		                     .settle = ek_device_cpu.settle,
		                     .alloc = alloc,
		                     .release = release,
		                     .upload = upload,
		                     .download = download,
		                     .send = send,
		                     .arrived = arrive,
		                     .receive = arrive,
		                     .received = received,
		                     .fetch = fetch,
		                     .landed = landed,
		                     .copy = copy,
		                     .zero = zero,
		                     .prepare = ek_device_cpu.prepare,
		                     .unprepare = ek_device_cpu.unprepare,
		                     .attach = ek_device_cpu.attach,
		                     .detach = ek_device_cpu.detach,
		                     .enter = ek_device_cpu.enter,
		                     .leave = ek_device_cpu.leave,
		                     .add = add,
		                     .sum_squares = sum_squares,
		                     .step = step,
		                     .stepped = ek_device_cpu.stepped,
		                     .move_codes = move_codes,
		                     .move = move,
		                     .normals = normals };
	for (int i = 0; i < EK_NET_KIND_COUNT; i++) {
		codes[i] = *ek_device_cpu.codes[i];
		codes[i].load = codes[i].load != NULL ? load : NULL;
		codes[i].forward = forward;
		codes[i].backward = codes[i].backward != NULL ? backward : NULL;
		codes[i].images = codes[i].images != NULL ? images : NULL;
		device.codes[i] = &codes[i];
	}
	return &device;
}
