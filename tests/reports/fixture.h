/* A made-up run with all the files that a report reads, and with names that try to break out of the page. */
#ifndef EK_TESTS_REPORTS_FIXTURE_H
#define EK_TESTS_REPORTS_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

struct ek_fixture {
	size_t k, images;    /* images ≥ 4 */
	int side;            /* pixels of the pictures, 4 : 3 */
	int noise;           /* grey levels of noise: what does not compress */
	int embeddings_only; /* no images.jsonl */
	int audit_only;      /* nothing but audit.json */
};

#define EK_HOSTILE_NAME "<script>alert(1)</script>.jpg"
#define EK_HOSTILE_VALUE "</style><script>alert(2)</script>"
#define EK_HOSTILE_ATTRIBUTE "\" onmouseover=\"alert(3)"
#define EK_HOSTILE_PLAN "<i>even\"'&"
#define EK_HOSTILE_REASON "bad & <b>bold</b>"

/* The path of the run directory, in a scratch folder. Fails the test on any error. */
const char *ek_fixture_make(const struct ek_fixture *fixture);

#endif
