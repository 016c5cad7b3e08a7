/* decoding.c - choosing one token after the other until a text ends. */
#include "decoding.h"

#include "console.h"

#include <stdlib.h>

int decoding_fail(bamba_status status)
{
    return console_fail("generating: %s", bamba_status_string(status));
}

/* Choose a token, put it into the text and show that. */
static int choose(decoding *d, const float *logits, int32_t *id)
{
    const double start = console_now_ms();
    *id = bamba_sample(d->sampler, logits);
    bamba_sampler_accept(d->sampler, *id);
    d->sampling_ms += console_now_ms() - start;

    const bamba_status status = generation_put(d->out, *id, bamba_session_room(d->setup->session));
    return status == BAMBA_OK ? d->show(d->context) : decoding_fail(status);
}

int decoding_run(decoding *d, const float *logits)
{
    bamba_error err = { BAMBA_OK, "" };
    int32_t id;

    if (d->out->limit == 0) return EXIT_SUCCESS;
    for (;;) {
        if (console_interrupted()) return EXIT_INTERRUPTED;
        const int code = choose(d, logits, &id);
        if (code != EXIT_SUCCESS || d->out->end != GENERATION_RUNNING) return code;

        const double start = console_now_ms();
        const bamba_status status = bamba_feed(d->setup->engine, d->setup->session, &id, 1, &logits,
                                               &err);
        d->eval_ms += console_now_ms() - start;
        d->n_eval += status == BAMBA_OK;
        if (status == BAMBA_ERR_CANCELLED) return EXIT_INTERRUPTED;
        if (status != BAMBA_OK) return console_fail_library(status, &err);
    }
}
