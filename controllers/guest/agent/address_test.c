#include "base/suite.h"

#include <string.h>
#include <sys/socket.h>

#include "guest/agent/address.h"

START_TEST(addresses_are_taken_only_as_they_are_written)
{
    static const char *const none[] = {"",          "10.0.0",     "10.0.0.0.1", "010.0.0.1",
                                       "10.0.0.2 ", "10.0.0.2/8", "fd00::g",    "fe80::1%eth0",
                                       ":",         "a.b.c.d",    "256.0.0.1"};
    struct ip ip;

    ck_assert(ip_parse("10.0.0.2", &ip));
    ck_assert_int_eq(ip.family, AF_INET);
    ck_assert_mem_eq(ip.bytes, "\x0a\0\0\x02", 4);
    ck_assert_uint_eq(ip.prefix, 32);
    ck_assert(ip_parse("fd00::2", &ip));
    ck_assert_int_eq(ip.family, AF_INET6);
    ck_assert_uint_eq(ip.bytes[15], 2);
    ck_assert_uint_eq(ip.prefix, 128);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert_msg(!ip_parse(none[i], &ip), "%s", none[i]);
}
END_TEST

START_TEST(prefix_lengths_fit_their_family)
{
    static const char *const none[] = {"10.0.0.2",     "10.0.0.2/",    "10.0.0.2/33", "10.0.0.2/-1",
                                       "10.0.0.2/024", "fd00::2/129",  "fd00::2/1x",  "/24",
                                       "10.0.0.2/256", "10.0.0.2/24/8"};
    struct ip ip;

    ck_assert(ip_parse_with_prefix("0.0.0.0/0", &ip) && ip.prefix == 0);
    ck_assert(ip_parse_with_prefix("10.0.0.2/32", &ip) && ip.prefix == 32);
    ck_assert(ip_parse_with_prefix("fd00::2/128", &ip) && ip.prefix == 128);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert_msg(!ip_parse_with_prefix(none[i], &ip), "%s", none[i]);
}
END_TEST

static struct ip ip_of(const char *text)
{
    struct ip ip;

    ck_assert_msg(ip_parse_with_prefix(text, &ip), "%s", text);
    return ip;
}

START_TEST(a_network_is_what_the_prefix_leaves)
{
    /* clang-format off */
    static const struct { const char *ip, *network; } all[] = {
        { "10.1.2.3/24",   "10.1.2.0/24"   }, { "10.1.2.3/0",  "0.0.0.0/0"   },
        { "10.1.2.3/32",   "10.1.2.3/32"   }, { "10.1.2.3/31", "10.1.2.2/31" },
        { "10.1.255.3/17", "10.1.128.0/17" }, { "fdff::7/9",   "fd80::/9"    },
        { "fd00::7/64",    "fd00::/64"     }, { "fd00::7/128", "fd00::7/128" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct ip ip = ip_of(all[i].ip), network = ip_of(all[i].network), is = ip_network(&ip);
        ck_assert_msg(ip_equal(&is, &network), "%s", all[i].ip);
        ck_assert(ip_is_network(&network));
        ck_assert_int_eq(ip_is_network(&ip), strcmp(all[i].ip, all[i].network) == 0);
        ck_assert(ip_is_in(&ip, &network));
    }
}
END_TEST

START_TEST(an_address_is_in_its_network_only)
{
    struct ip net = ip_of("10.1.2.3/24"), in = ip_of("10.1.2.250/32"), out = ip_of("10.1.3.1/32");
    struct ip other = ip_of("::a01:2fa/128");

    ck_assert(ip_is_in(&net, &in));
    ck_assert(!ip_is_in(&net, &out));
    ck_assert(!ip_is_in(&net, &other));
    ck_assert(!ip_equal(&in, &out));
}
END_TEST

START_TEST(a_mac_is_one_machine_s)
{
    static const char *const none[] = {"",
                                       "02:00:00:00:00",
                                       "02:00:00:00:00:00:01",
                                       "00:00:00:00:00:00",
                                       "01:00:00:00:00:01",
                                       "ff:ff:ff:ff:ff:ff",
                                       "02-00-00-00-00-01",
                                       "0x:00:00:00:00:01",
                                       "02:00:00:00:00:0g",
                                       "020000:00:00:0001",
                                       " 2:00:00:00:00:01"};
    uint8_t mac[MAC_SIZE];

    ck_assert(mac_parse("02:aB:00:00:00:01", mac));
    ck_assert_mem_eq(mac, "\x02\xab\0\0\0\x01", MAC_SIZE);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert_msg(!mac_parse(none[i], mac), "%s", none[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("agent_address");
    TCase *tc = tcase_create("address");

    tcase_add_test(tc, addresses_are_taken_only_as_they_are_written);
    tcase_add_test(tc, prefix_lengths_fit_their_family);
    tcase_add_test(tc, a_network_is_what_the_prefix_leaves);
    tcase_add_test(tc, an_address_is_in_its_network_only);
    tcase_add_test(tc, a_mac_is_one_machine_s);
    suite_add_tcase(s, tc);
    return sf_suite_run(s);
}
