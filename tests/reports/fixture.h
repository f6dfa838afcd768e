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
	size_t made;         /* models, sample sets, evaluations and reviews: so many of each, at least 2; 0: none */
};

#define EK_HOSTILE_NAME "<script>alert(1)</script>.jpg"
#define EK_HOSTILE_VALUE "</style><script>alert(2)</script>"
#define EK_HOSTILE_ATTRIBUTE "\" onmouseover=\"alert(3)"
#define EK_HOSTILE_PLAN "<i>even\"'&"
#define EK_HOSTILE_REASON "bad & <b>bold</b>"

#define EK_HOSTILE_REASON_2 "12 images, <b>50</b> are wanted"

/* Add the models and what was made of them to a run whose images lie in the clusters `assignment`: [images]. */
void ek_fixture_make_more(const char *folder, const struct ek_fixture *fixture, const int32_t *assignment);

/* The path of the run directory, in a scratch folder. Fails the test on any error. */
const char *ek_fixture_make(const struct ek_fixture *fixture);

#endif
