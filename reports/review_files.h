/* review.html, .css and .js, put into the program by cmake/embed.cmake. */
#ifndef EK_REPORTS_REVIEW_FILES_H
#define EK_REPORTS_REVIEW_FILES_H

#include <stddef.h>

extern const unsigned char ek_review_html[], ek_review_css[], ek_review_js[];
extern const size_t ek_review_html_size, ek_review_css_size, ek_review_js_size;

#endif
