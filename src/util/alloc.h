/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is there or the program is not: the queues of this program are bounded, so running out
 * of memory is a fault of the machine.  It is logged, and the service manager starts us again.
 */
#ifndef EB_UTIL_ALLOC_H
#define EB_UTIL_ALLOC_H

#include <stdlib.h>

/* Zeroed memory, never NULL; the caller frees it with free(). */
void *must_alloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *must_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *must_realloc(void *old, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *must_strdup(const char *text) __attribute__((malloc, returns_nonnull, nonnull(1)));
void *must_memdup(const void *bytes, size_t size) __attribute__((malloc, returns_nonnull));
char *must_printf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

static inline void cleanup_free(void *slot)
{
	free(*(void **)slot);
}

/* A local that owns what malloc() gave. */
#define OWNED __attribute__((cleanup(cleanup_free)))

/* Gives up what a local owns. */
#define TAKE(owner)                                 \
	({                                          \
		__typeof__(owner) taken_ = (owner); \
		(owner) = NULL;                     \
		taken_;                             \
	})

#endif
