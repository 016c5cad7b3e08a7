/* story.c - let a model go on with a text:  story MODEL_DIRECTORY [TEXT [TOKENS]]
 *
 *     cc story.c -o story $(pkg-config --cflags --libs bamba)
 */
#include <bamba.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bamba_error err;

static void must(bamba_status status)
{
    if (status == BAMBA_OK) return;
    fprintf(stderr, "story: %s: %s\n", bamba_status_string(status), err.message);
    exit(1);
}

/* The decoder keeps what is not yet a whole character. */
static void print(const bamba_tokenizer *tokenizer, bamba_decoder *decoder, int32_t id)
{
    char   text[1024];                      /* many times the longest token                 */
    size_t n = 0;

    must(bamba_decode(tokenizer, decoder, &id, 1, 0, text, sizeof text, &n));
    if (n <= sizeof text) fwrite(text, 1, n, stdout);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "models/fable";
    const char *text = argc > 2 ? argv[2] : "Once upon a time";
    const int   n_tokens = argc > 3 ? atoi(argv[3]) : 200;

    bamba_model          *model;            /* the weights: shared, never changed           */
    bamba_tokenizer      *tokenizer;        /* text <-> numbers                             */
    bamba_engine         *engine;           /* the threads and memory that running takes    */
    bamba_session        *session;          /* what has been read so far                    */
    bamba_sampler        *sampler;          /* how the next token is chosen                 */
    bamba_model_info      info = BAMBA_MODEL_INFO;
    bamba_sampler_options choice = BAMBA_SAMPLER_OPTIONS;
    bamba_decoder         decoder = BAMBA_DECODER;
    const float          *logits;
    int32_t              *ids;
    size_t                n_ids;

    must(bamba_model_open(&model, dir, NULL, &err));
    must(bamba_model_info_get(model, &info));
    must(bamba_tokenizer_open(&tokenizer, dir, NULL, &err));
    must(bamba_engine_create(&engine, model, NULL, &err));
    must(bamba_session_create(&session, model, NULL, &err));
    must(bamba_model_sampler_defaults(model, &choice));
    choice.seed = 4;
    choice.tokenizer = tokenizer;           /* nothing it has no token for                  */
    must(bamba_sampler_create(&sampler, info.n_vocab, &choice, &err));

    must(bamba_tokenize(tokenizer, text, strlen(text), BAMBA_TOKENIZE_ADD_SPECIAL, &ids, &n_ids,
                        &err));
    for (size_t i = 0; i < n_ids; i++) bamba_sampler_accept(sampler, ids[i]);
    must(bamba_feed(engine, session, ids, n_ids, &logits, &err));
    fputs(text, stdout);
    for (int i = 0; i < n_tokens && bamba_session_room(session) > 0; i++) {
        const int32_t id = bamba_sample(sampler, logits);
        if (bamba_model_is_end(model, id)) break;
        bamba_sampler_accept(sampler, id);
        print(tokenizer, &decoder, id);
        must(bamba_feed(engine, session, &id, 1, &logits, &err));
    }
    putchar('\n');

    bamba_tokens_free(tokenizer, ids);
    bamba_sampler_free(sampler);
    bamba_session_free(session);
    bamba_engine_free(engine);
    bamba_tokenizer_free(tokenizer);
    bamba_model_free(model);
    return 0;
}
