/* SPDX-License-Identifier: Apache-2.0 */
/* A doubly linked ring of links that are embedded in what they link. */
#ifndef EB_UTIL_LIST_H
#define EB_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define container_of(member_pointer, type, member) \
	((type *)(void *)((char *)(member_pointer)-offsetof(type, member)))

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Puts the link in front of place: at the end of the ring where place is its head. */
static inline void list_insert(struct list *place, struct list *link)
{
	link->next = place;
	link->prev = place->prev;
	place->prev->next = link;
	place->prev = link;
}

static inline void list_append(struct list *head, struct list *link)
{
	list_insert(head, link);
}

static inline void list_prepend(struct list *head, struct list *link)
{
	list_insert(head->next, link);
}

/* Takes the link out; it may be taken out again or asked whether it is in a ring. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* The first link, taken out, or NULL. */
static inline struct list *list_take_first(struct list *head)
{
	if (list_empty(head))
		return NULL;
	struct list *first = head->next;
	list_remove(first);
	return first;
}

/* Every link in order; the body may take out and free the current one. */
#define list_for_each(link, head)                                                         \
	for (struct list *link = (head)->next, *link##_next = link->next; link != (head); \
		link = link##_next, link##_next = link->next)

#endif
