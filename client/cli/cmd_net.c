#include <stdlib.h>

#include "commands.h"
#include "output.h"
#include "parts.h"
#include "progress.h"

enum { TABLE, JSON };

/* ---- net add ---- */

struct add_flags {
    struct words nics, name_servers, search_domains;
    const char *namespace;
    bool policy_based_routing;
};

/* clang-format off */
static const struct option add_options[] = {
    { "nic", 'n', OPTION_WORDS(struct add_flags, nics), "KIND[:DEVICE][,KEY..]",
      "a NIC, and what it is connected to; repeatable" },
    { "namespace", 0, OPTION_TEXT(struct add_flags, namespace), "PATH",
      "where the devices are: /run/netns/NAME or /proc/PID/ns/net (default: the daemon's own)" },
    { "dns", 0, OPTION_WORDS(struct add_flags, name_servers), "ADDRESS",
      "a name server; repeatable, in order" },
    { "search", 0, OPTION_WORDS(struct add_flags, search_domains), "DOMAIN",
      "a search domain; repeatable, in order" },
    { "policy-routing", 0, OPTION_FLAG(struct add_flags, policy_based_routing), NULL,
      "what comes from a NIC's address goes out through it" },
    { 0 },
};
/* clang-format on */

/* The words of --nic, and pointers to them. */
struct nics {
    size_t n;
    struct nic_word *words;
    const struct sandferry_nic_spec **all;
};

static bool nics_parse(struct nics *ret, const struct words *words, struct sf_error **err)
{
    if (words->n == 0)
        return sf_fail(err, SF_INVALID_ARGUMENT,
                       "a network needs a NIC: --nic tap:NAME,address=10.0.0.2/24");
    ret->words = calloc(words->n, sizeof(*ret->words));
    ret->all = calloc(words->n, sizeof(*ret->all));
    if (ret->words == NULL || ret->all == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "out of memory");
    ret->n = words->n;
    for (size_t i = 0; i < words->n; i++) {
        ret->all[i] = &ret->words[i].spec;
        if (!nic_word_parse(&ret->words[i], words->all[i], err))
            return false;
    }
    return true;
}

static void nics_done(struct nics *n)
{
    for (size_t i = 0; i < n->n; i++)
        nic_word_done(&n->words[i]);
    free(n->words);
    free(n->all);
}

static int add(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};
    SF_CLEANUP(nics_done) struct nics nics = {0};
    const struct add_flags *f = flags;
    struct sandferry_network_options o = SANDFERRY_NETWORK_OPTIONS_INIT;

    if (!nics_parse(&nics, &f->nics, &err))
        return cli_fail(cli, err);
    o.host_namespace = f->namespace;
    o.n_nics = nics.n;
    o.nics = nics.all;
    o.n_name_servers = f->name_servers.n;
    o.name_servers = f->name_servers.all;
    o.n_search_domains = f->search_domains.n;
    o.search_domains = f->search_domains.all;
    o.policy_based_routing = f->policy_based_routing;
    progress_begin(&progress, cli, "giving pod '%s' a network", operands->all[1]);
    bool ok = cli_connect(cli, &err) && sandferry_network_setup(cli->client, operands->all[0],
                                                                operands->all[1], &o, NULL, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "pod '%s' has a network\n", operands->all[1]);
    return EXIT_OK;
}

const struct command command_net_add = {
    .name = "net add",
    .operands = "SANDBOX POD",
    .summary = "Give a pod a network, before its first container",
    .about =
        "Each --nic is what it is connected to on the daemon's host: tap:NAME (a tap device that "
        "is\n"
        "there), bridge:NAME (a tap is made and put on that bridge), fd:SOCKET (a unix socket "
        "sends\n"
        "the descriptor of a tap to whoever connects), or user (QEMU's user network: no device, "
        "no\n"
        "privilege). After it may come, each behind a comma: address=ADDRESS/PREFIX (repeatable),\n"
        "gateway=ADDRESS (a default route), route=DESTINATION/PREFIX[@GATEWAY] (repeatable),\n"
        "mac=ADDRESS, mtu=BYTES, name=DEVICE (in the guest; default: eth0, eth1, ...).\n"
        "\n"
        "The pod's containers are in a network namespace of their own in the guest, which a save "
        "and\n"
        "a restore leave as it is. A restore connects the NICs to what has the same names on its\n"
        "host, or to what '--patch network:...' gives; 'sandferry net ls' prints the ids of NICs.",
    .examples = "  sandferry net add web shop --nic bridge:br0,address=10.0.0.2/24\n"
                "  sandferry net add web shop --namespace /run/netns/a --nic tap:t0\n"
                "  sandferry net add web shop --nic user,address=10.0.2.15/24,gateway=10.0.2.2 \\\n"
                "    --dns 10.0.2.3\n",
    .options = add_options,
    .flags_size = sizeof(struct add_flags),
    .operands_min = 2,
    .operands_max = 2,
    .run = add,
};

/* ---- net rm ---- */

static int rm(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(progress_end) struct progress progress = {0};

    (void)flags;
    progress_begin(&progress, cli, "removing the network of '%s'", operands->all[1]);
    bool ok = cli_connect(cli, &err) && sandferry_network_teardown(cli->client, operands->all[0],
                                                                   operands->all[1], NULL, &err);
    progress_end(&progress);
    if (!ok)
        return cli_fail(cli, err);
    fprintf(cli->out, "pod '%s' has no network\n", operands->all[1]);
    return EXIT_OK;
}

const struct command command_net_rm = {
    .name = "net rm",
    .operands = "SANDBOX POD",
    .summary = "Take the network of a pod away",
    .about =
        "One that failed can be repeated, and goes on where it stopped. 'sandferry pod rm' does\n"
        "it, too.",
    .examples = "  sandferry net rm web shop\n",
    .operands_min = 2,
    .operands_max = 2,
    .run = rm,
};

/* ---- net ls ---- */

struct ls_flags {
    unsigned output;
};

/* clang-format off */
static const struct option ls_options[] = {
    { "output", 'o', OPTION_CHOICE(struct ls_flags, output), "table|json",
      "how to print them (default: table)" },
    { 0 },
};
/* clang-format on */

static void add_row(struct table *t, const struct sandferry_network *net,
                    const struct sandferry_nic *n)
{
    SF_CLEANUP(sf_text_done) struct sf_text addresses = {0};

    for (size_t i = 0; i < n->n_addresses; i++)
        sf_text_add(&addresses, "%s%s", i > 0 ? "," : "", n->addresses[i]);
    table_add(t, "%s", net->pod_id);
    table_add(t, "%s", sandferry_network_stage_name(net->stage));
    table_add(t, "%s", n->guest_device);
    table_add(t, "%s", addresses.data != NULL ? addresses.data : "-");
    table_add(t, "%s", n->mac_address);
    table_add(t, "%s%s%s", sandferry_nic_kind_name(n->kind), *n->host_device != '\0' ? ":" : "",
              n->host_device);
    table_add(t, "%s", *net->host_namespace != '\0' ? net->host_namespace : "-");
    table_add(t, "%s", n->id);
}

static void print_networks(struct cli *cli, const char *sandbox,
                           const struct sandferry_networks *list)
{
    static const char *const heads[] = {"POD",          "STATE",     "NIC", "ADDRESSES", "MAC",
                                        "CONNECTED TO", "NAMESPACE", "ID",  NULL};
    SF_CLEANUP(table_done) struct table t = {0};

    if (list->n == 0) {
        fprintf(cli->out, "sandbox '%s' has no networks\n", sandbox);
        return;
    }
    table_begin(&t, heads);
    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < list->all[i]->n_nics; k++)
            add_row(&t, list->all[i], list->all[i]->nics[k]);
    table_print(&t, cli->out);
}

static int ls(struct cli *cli, const void *flags, const struct words *operands)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    struct sandferry_networks *list;
    bool ok = true;

    if (!cli_connect(cli, &err) ||
        !sandferry_network_list(cli->client, operands->all[0], NULL, &list, &err))
        return cli_fail(cli, err);
    if (((const struct ls_flags *)flags)->output == JSON)
        ok = print_json(cli->out, sandferry_networks_json(list), &err);
    else
        print_networks(cli, operands->all[0], list);
    sandferry_networks_free(list);
    return ok ? EXIT_OK : cli_fail(cli, err);
}

const struct command command_net_ls = {
    .name = "net ls",
    .operands = "SANDBOX",
    .summary = "List the networks of a sandbox's pods, a line for each NIC",
    .about =
        "CONNECTED TO is on the host, in NAMESPACE (-: the daemon's own). ID is what a patch of\n"
        "a restore names: '--patch network:ID=tap:NAME'.",
    .examples = "  sandferry net ls web\n"
                "  sandferry net ls web -o json\n",
    .options = ls_options,
    .flags_size = sizeof(struct ls_flags),
    .operands_min = 1,
    .operands_max = 1,
    .run = ls,
};
