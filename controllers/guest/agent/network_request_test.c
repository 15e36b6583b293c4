#include "base/suite.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "guest/agent/network_request.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

typedef Sandferry__V1__AgentAddInterface AddInterface;

static AddInterface request(void)
{
    AddInterface r = SANDFERRY__V1__AGENT_ADD_INTERFACE__INIT;

    r.guest_address = (char *)"nic3";
    r.namespace_ = (char *)"pod-1";
    r.device = (char *)"eth0";
    r.mac_address = (char *)"02:00:00:00:00:01";
    return r;
}

START_TEST(what_makes_sense_is_taken)
{
    char *addresses[] = {(char *)"10.0.0.2/24", (char *)"fd00::2/64"};
    Sandferry__V1__AgentRoute route = SANDFERRY__V1__AGENT_ROUTE__INIT, *routes[] = {&route};
    AddInterface r = request();
    struct interface to;
    struct outcome o = {0};

    route.destination = (char *)"0.0.0.0/0";
    route.gateway = (char *)"10.0.0.1";
    route.metric = 5;
    r.n_addresses = 2;
    r.addresses = addresses;
    r.n_routes = 1;
    r.routes = routes;
    r.mtu = 1400;
    r.policy_based_routing = true;
    ck_assert_msg(network_interface(&r, &to, &o), "%s", o.text);
    ck_assert_str_eq(to.name, "eth0");
    ck_assert_uint_eq(to.mac[5], 1);
    ck_assert_uint_eq(to.mtu, 1400);
    ck_assert_uint_eq(to.n_addresses, 2);
    ck_assert_uint_eq(to.addresses[1].prefix, 64);
    ck_assert_uint_eq(to.n_routes, 1);
    ck_assert(to.routes[0].has_gateway && to.routes[0].metric == 5);
    ck_assert(to.own_table);
    ck_assert_uint_eq(to.table, network_table(3));
}
END_TEST

static void refuse(const AddInterface *r, const char *word)
{
    struct interface to;
    struct outcome o = {0};

    ck_assert_msg(!network_interface(r, &to, &o), "%s", word);
    ck_assert_uint_eq(o.code, SF_INVALID_ARGUMENT);
    ck_assert_msg(strstr(o.text, word) != NULL, "'%s' does not say '%s'", o.text, word);
}

START_TEST(each_field_is_looked_at)
{
    static const char *const fields[][5] = {
        {"port3", "nic8", "", "nic", "nic33"},
        {"", "-x", "a/b", "..", "x y"},
        {"", "lo", "a:b", "sixteen-letters-", "eth%d"},
        {"", "01:00:00:00:00:00", "00:00:00:00:00:00", "x", "02:00:00:00:00:01:02"}};

    for (size_t i = 0; i < COUNT(fields); i++) {
        for (size_t j = 0; j < COUNT(fields[i]); j++) {
            AddInterface r = request();
            char **all[] = {&r.guest_address, &r.namespace_, &r.device, &r.mac_address};
            *all[i] = (char *)fields[i][j];
            refuse(&r, fields[i][j]);
        }
    }
    AddInterface r = request();
    r.mtu = 65536;
    refuse(&r, "65536");
    r.mtu = 67;
    refuse(&r, "not 67");
}
END_TEST

START_TEST(each_address_and_route_is_looked_at)
{
    static const char *const addresses[] = {"10.0.0.2", "10.0.0.2/33", "10.0.0.2/0", ""};
    static const char *const routes[][2] = {{"10.0.0.2/24", ""},  {"", ""},
                                            {"0.0.0.0", ""},      {"0.0.0.0/0", "fd00::1"},
                                            {"::/0", "10.0.0.1"}, {"::/0", "fd00::1/64"}};

    for (size_t i = 0; i < COUNT(addresses); i++) {
        AddInterface r = request();
        char *list[] = {(char *)addresses[i]};
        r.n_addresses = 1;
        r.addresses = list;
        refuse(&r, addresses[i]);
    }
    for (size_t i = 0; i < COUNT(routes); i++) {
        AddInterface r = request();
        Sandferry__V1__AgentRoute route = SANDFERRY__V1__AGENT_ROUTE__INIT, *list[] = {&route};
        route.destination = (char *)routes[i][0];
        route.gateway = (char *)routes[i][1];
        r.n_routes = 1;
        r.routes = list;
        refuse(&r, routes[i][0]);
    }
}
END_TEST

START_TEST(there_are_bounds)
{
    static char *addresses[INTERFACE_ADDRESSES_MAX + 1];
    static Sandferry__V1__AgentRoute *routes[INTERFACE_ROUTES_MAX + 1];
    Sandferry__V1__AgentRoute route = SANDFERRY__V1__AGENT_ROUTE__INIT;
    struct interface to;
    struct outcome o = {0};
    AddInterface r = request();

    route.destination = (char *)"::/0";
    for (size_t i = 0; i < COUNT(addresses); i++)
        addresses[i] = (char *)"10.0.0.2/24";
    for (size_t i = 0; i < COUNT(routes); i++)
        routes[i] = &route;
    r.addresses = addresses;
    r.routes = routes;
    r.n_addresses = INTERFACE_ADDRESSES_MAX;
    r.n_routes = INTERFACE_ROUTES_MAX;
    ck_assert_msg(network_interface(&r, &to, &o), "%s", o.text);
    r.n_addresses++;
    refuse(&r, "at most");
    r.n_addresses = 0;
    r.n_routes++;
    refuse(&r, "at most");
}
END_TEST

/* ---- resolv.conf ---- */

START_TEST(resolv_conf_says_what_is_asked)
{
    char *servers[] = {(char *)"10.0.0.1", (char *)"fd00::1"};
    char *domains[] = {(char *)"a.example", (char *)"b.example"};
    Sandferry__V1__AgentAddNamespace r = SANDFERRY__V1__AGENT_ADD_NAMESPACE__INIT;
    char text[RESOLV_CONF_ROOM];
    struct outcome o = {0};

    ck_assert(network_resolv_conf(&r, text, &o));
    ck_assert_str_eq(text, "");
    r.n_name_servers = r.n_search_domains = 2;
    r.name_servers = servers;
    r.search_domains = domains;
    ck_assert(network_resolv_conf(&r, text, &o));
    ck_assert_str_eq(text, "search a.example b.example\nnameserver 10.0.0.1\nnameserver fd00::1\n");
}
END_TEST

START_TEST(resolv_conf_gets_no_lines_of_others)
{
    static const char *const wrong[] = {"a\nb", "a b", "", "a/b", "#", "\xc3\xa4"};
    Sandferry__V1__AgentAddNamespace r = SANDFERRY__V1__AGENT_ADD_NAMESPACE__INIT;
    char text[RESOLV_CONF_ROOM], *one[33];
    struct outcome o = {0};

    for (size_t i = 0; i < COUNT(wrong); i++) {
        one[0] = (char *)wrong[i];
        r.search_domains = r.name_servers = one;
        r.n_search_domains = 1;
        r.n_name_servers = 0;
        ck_assert_msg(!network_resolv_conf(&r, text, &o), "%s", wrong[i]);
        ck_assert_uint_eq(o.code, SF_INVALID_ARGUMENT);
        r.n_search_domains = 0;
        r.n_name_servers = 1;
        ck_assert_msg(!network_resolv_conf(&r, text, &o), "%s", wrong[i]);
    }
    for (size_t i = 0; i < COUNT(one); i++)
        one[i] = (char *)"1.1.1.1";
    r.n_name_servers = 4;
    ck_assert(!network_resolv_conf(&r, text, &o));
    r.n_name_servers = 3;
    r.n_search_domains = 33;
    ck_assert(!network_resolv_conf(&r, text, &o));
    r.n_search_domains = 32;
    ck_assert(network_resolv_conf(&r, text, &o));
}
END_TEST

START_TEST(the_longest_domains_have_room)
{
    char domain[255], *domains[32], text[RESOLV_CONF_ROOM];
    char *servers[] = {(char *)"fd00:1111:2222:3333:4444:5555:6666:7777"};
    Sandferry__V1__AgentAddNamespace r = SANDFERRY__V1__AGENT_ADD_NAMESPACE__INIT;
    struct outcome o = {0};

    memset(domain, 'a', sizeof(domain));
    domain[253] = domain[254] = '\0';
    for (size_t i = 0; i < COUNT(domains); i++)
        domains[i] = domain;
    r.n_search_domains = COUNT(domains);
    r.search_domains = domains;
    r.n_name_servers = 1;
    r.name_servers = servers;
    ck_assert(network_resolv_conf(&r, text, &o));
    ck_assert_str_eq(text + strlen(text) - 5, "7777\n");
    domain[253] = 'a';
    ck_assert(!network_resolv_conf(&r, text, &o));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_network_request");
    TCase *tc = tcase_create("interface");
    tcase_add_test(tc, what_makes_sense_is_taken);
    tcase_add_test(tc, each_field_is_looked_at);
    tcase_add_test(tc, each_address_and_route_is_looked_at);
    tcase_add_test(tc, there_are_bounds);
    suite_add_tcase(s, tc);

    tc = tcase_create("resolv.conf");
    tcase_add_test(tc, resolv_conf_says_what_is_asked);
    tcase_add_test(tc, resolv_conf_gets_no_lines_of_others);
    tcase_add_test(tc, the_longest_domains_have_room);
    suite_add_tcase(s, tc);
    return sf_suite_run(s);
}
