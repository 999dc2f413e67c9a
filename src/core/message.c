/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message.h"

#include <string.h>

#include "util/alloc.h"

static void free_mail(struct mail *mail)
{
	free(mail);
}

/* Zeroed memory of size bytes that begins with a mail. */
static void *create(size_t size, enum message_kind kind, void (*destroy)(struct mail *mail))
{
	struct mail *mail = must_alloc(size);
	list_init(&mail->link);
	mail->kind = kind;
	mail->destroy = destroy;
	return mail;
}

static void destroy_reading(struct mail *mail)
{
	struct reading *reading = container_of(mail, struct reading, mail);
	atomic_fetch_sub(&reading->plan->polls[reading->poll].untaken, 1);
	plan_release(reading->plan);
	free(reading);
}

struct reading *reading_create(
	struct plan *plan, uint32_t poll, const struct stamp *stamp, const void *bytes, size_t size)
{
	struct reading *reading = create(sizeof(*reading) + size, MESSAGE_READING, destroy_reading);
	reading->mail.droppable = true;
	reading->device = plan->device;
	reading->poll = poll;
	reading->plan = plan_reference(plan);
	atomic_fetch_add(&plan->polls[poll].untaken, 1);
	reading->stamp = *stamp;
	reading->size = (uint32_t)size;
	if (size)
		memcpy(reading->bytes, bytes, size);
	return reading;
}

const char *outcome_name(enum outcome_status status)
{
	static const char *const names[] = {
		[OUTCOME_DONE] = "done",
		[OUTCOME_EXCEPTION] = "exception",
		[OUTCOME_TIMEOUT] = "timeout",
		[OUTCOME_ECHO] = "echo",
		[OUTCOME_EXPIRED] = "expired",
		[OUTCOME_LINK] = "link",
		[OUTCOME_SKIPPED] = "skipped",
		[OUTCOME_BUSY] = "busy",
		[OUTCOME_SUPERSEDED] = "superseded",
	};
	return (size_t)status < sizeof(names) / sizeof(*names) ? names[status] : "unknown";
}

static void destroy_outcome(struct mail *mail)
{
	struct outcome *outcome = container_of(mail, struct outcome, mail);
	for (size_t i = 0; i < outcome->count; i++)
		buffer_finish(&outcome->steps[i].bytes);
	free(outcome);
}

struct outcome *outcome_create(uint32_t device, uint64_t order, size_t count)
{
	struct outcome *outcome = create(sizeof(*outcome) + count * sizeof(*outcome->steps),
		MESSAGE_OUTCOME, destroy_outcome);
	outcome->device = device;
	outcome->order = order;
	outcome->count = count;
	return outcome;
}

const char *health_name(enum health_state state)
{
	static const char *const names[] = {
		[HEALTH_UNKNOWN] = "unknown",
		[HEALTH_OK] = "ok",
		[HEALTH_SUSPECT] = "suspect",
		[HEALTH_DOWN] = "down",
	};
	return (size_t)state < sizeof(names) / sizeof(*names) ? names[state] : "unknown";
}

struct health *health_create(uint32_t device, enum health_state state)
{
	struct health *health = create(sizeof(*health), MESSAGE_HEALTH, free_mail);
	health->device = device;
	health->state = state;
	return health;
}

struct link_change *link_change_create(uint32_t bus, bool up)
{
	struct link_change *change = create(sizeof(*change), MESSAGE_LINK, free_mail);
	change->bus = bus;
	change->up = up;
	return change;
}

static void destroy_answer(struct mail *mail)
{
	struct answer *answer = container_of(mail, struct answer, mail);
	buffer_finish(&answer->text);
	free(answer);
}

struct answer *answer_create(uint64_t serial)
{
	struct answer *answer = create(sizeof(*answer), MESSAGE_ANSWER, destroy_answer);
	answer->serial = serial;
	return answer;
}

static void destroy_evidence(struct mail *mail)
{
	struct evidence *evidence = container_of(mail, struct evidence, mail);
	buffer_finish(&evidence->text);
	free(evidence);
}

struct evidence *evidence_create(uint32_t bus, uint32_t error)
{
	struct evidence *evidence = create(sizeof(*evidence), MESSAGE_EVIDENCE, destroy_evidence);
	evidence->mail.droppable = true;
	evidence->bus = bus;
	evidence->error = error;
	return evidence;
}

static void destroy_plan_change(struct mail *mail)
{
	struct plan_change *change = container_of(mail, struct plan_change, mail);
	plan_release(change->plan);
	free(change);
}

struct plan_change *plan_change_create(struct plan *plan)
{
	struct plan_change *change = create(sizeof(*change), MESSAGE_PLAN, destroy_plan_change);
	change->plan = plan_reference(plan);
	return change;
}

static void destroy_order(struct mail *mail)
{
	struct order *order = container_of(mail, struct order, mail);
	for (size_t i = 0; i < order->count; i++)
		request_destroy(order->requests[i]);
	buffer_finish(&order->places);
	free(order);
}

struct order *order_create(uint32_t device, uint64_t serial, int64_t deadline_us, size_t count)
{
	struct order *order = create(
		sizeof(*order) + count * sizeof(struct request *), MESSAGE_ORDER, destroy_order);
	order->device = device;
	order->serial = serial;
	order->deadline_us = deadline_us;
	order->count = count;
	return order;
}

struct query *query_create(enum query_kind what, uint64_t serial, uint32_t number)
{
	struct query *query = create(sizeof(*query), MESSAGE_QUERY, free_mail);
	query->what = what;
	query->serial = serial;
	query->number = number;
	return query;
}

const char *report_kind_name(enum report_kind kind)
{
	static const char *const names[] = {
		[REPORT_POINTS] = "points",
		[REPORT_EVENT] = "event",
		[REPORT_ATTRIBUTES] = "attributes",
		[REPORT_RAW] = "raw",
	};
	return (size_t)kind < sizeof(names) / sizeof(*names) ? names[kind] : "unknown";
}

struct report *report_create(uint32_t device, enum report_kind kind, const struct stamp *stamp,
	const void *data, size_t size)
{
	struct report *report = must_alloc(sizeof(*report) + size);
	report->references = 1;
	report->device = device;
	report->kind = kind;
	report->stamp = *stamp;
	report->size = (uint32_t)size;
	if (size)
		memcpy(report->data, data, size);
	return report;
}

struct report *report_reference(struct report *report)
{
	report->references++;
	return report;
}

void report_release(struct report *report)
{
	if (report && --report->references == 0)
		free(report);
}
