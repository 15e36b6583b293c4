#ifndef CLIENT_CLIENT_FIXTURE_H
#define CLIENT_CLIENT_FIXTURE_H

/* What both tests of the library's calls begin with: a server, and a connection to it. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"
#include "base/text.h"
#include "fake_daemon.h"
#include "sandferry.h"

static struct fake *fake;
static struct sandferry *client;
static struct sf_error *err;

static inline void setup(void)
{
    struct sandferry_connect_options o = SANDFERRY_CONNECT_OPTIONS_INIT;
    err = NULL;
    fake = fake_start();
    o.address = fake_address(fake);
    o.timeout_ms = 30000;
    ck_assert_msg(sandferry_connect(&o, &client, &err), "%s", SF_WHY(err));
}

static inline void teardown(void)
{
    sandferry_close(client);
    fake_stop(fake);
    sf_error_free(err);
}

#define OK(call) ck_assert_msg((call), "%s", SF_WHY(err))

static inline void asked(const char *method, const char *request)
{
    ck_assert_str_eq(fake_method(fake), method);
    ck_assert_str_eq(fake_request(fake), request);
}

static inline void refused(enum sf_code code, const char *part)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code, "%s: %s", sf_code_name(sf_error_code(err)),
                  sf_error_message(err));
    ck_assert_msg(strstr(sf_error_message(err), part) != NULL, "%s", sf_error_message(err));
    sf_error_free(err);
    err = NULL;
}

#endif
