// header_cpp.cc - the public headers from C++: every macro of bamba.h as an initialiser, every
// function of it called; of bamba_measure.h, what does not take long.
#include <bamba.h>
#include <bamba_measure.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace {

template <class T, void (*release)(T *)>
struct Release {
    void operator()(T *p) const { release(p); }
};

using Model = std::unique_ptr<bamba_model, Release<bamba_model, bamba_model_free>>;
using Engine = std::unique_ptr<bamba_engine, Release<bamba_engine, bamba_engine_free>>;
using Session = std::unique_ptr<bamba_session, Release<bamba_session, bamba_session_free>>;
using Sampler = std::unique_ptr<bamba_sampler, Release<bamba_sampler, bamba_sampler_free>>;
using Tokenizer =
    std::unique_ptr<bamba_tokenizer, Release<bamba_tokenizer, bamba_tokenizer_free>>;

struct Failure {
    bamba_status status;
    std::string  message;
};

// make(bamba_model_open, dir, &options): the object a constructor of the library gives.
template <class T, class... Parameters, class... Arguments>
T *make(bamba_status (*create)(T **, Parameters...), Arguments... arguments)
{
    T           *object = nullptr;
    bamba_error  err = { BAMBA_OK, "" };
    const bamba_status status = create(&object, arguments..., &err);

    if (status != BAMBA_OK) throw Failure{ status, err.message };
    return object;
}

std::vector<int32_t> tokenize(const Tokenizer &tokenizer, const std::string &text)
{
    int32_t     *ids = nullptr;
    std::size_t  n = 0;
    bamba_error  err;

    if (bamba_tokenize(tokenizer.get(), text.data(), text.size(), 0, &ids, &n, &err)
        != BAMBA_OK) throw Failure{ err.code, err.message };
    const std::vector<int32_t> out(ids, ids + n);
    bamba_tokens_free(tokenizer.get(), ids);
    return out;
}

std::string decode(const Tokenizer &tokenizer, const std::vector<int32_t> &ids)
{
    bamba_decoder decoder = BAMBA_DECODER;
    std::string   text(64 * ids.size() + 1024, '\0');
    std::size_t   n = 0;

    if (bamba_decode(tokenizer.get(), &decoder, ids.data(), ids.size(), BAMBA_DECODE_FINISH,
                     &text[0], text.size(), &n) != BAMBA_OK || n > text.size())
        throw Failure{ BAMBA_ERR_ARGUMENT, "bamba_decode" };
    text.resize(n);
    return text;
}

// Feeds the prompt, then a token at a time; a copy of the session must go on in the same way.
std::vector<int32_t> generate(const Model &model, const std::vector<int32_t> &prompt,
                              int n_tokens)
{
    bamba_engine_options  engine_options = BAMBA_ENGINE_OPTIONS;
    bamba_session_options session_options = BAMBA_SESSION_OPTIONS;
    bamba_sampler_options sampler_options = BAMBA_SAMPLER_OPTIONS;
    bamba_model_info      info = BAMBA_MODEL_INFO;

    session_options.n_context = prompt.size() + n_tokens;
    bamba_model_info_get(model.get(), &info);
    if (bamba_model_sampler_defaults(model.get(), &sampler_options) != BAMBA_OK)
        throw Failure{ BAMBA_ERR_ARGUMENT, "bamba_model_sampler_defaults" };
    const Engine  engine(make(bamba_engine_create, model.get(), &engine_options));
    const Session session(make(bamba_session_create, model.get(), &session_options));
    const Session copy(make(bamba_session_create, model.get(), &session_options));
    const Sampler sampler(make(bamba_sampler_create, info.n_vocab, &sampler_options));

    std::vector<int32_t> out;
    const float         *logits = nullptr;
    bamba_error          err;
    bamba_sampler_reset(sampler.get(), 7);
    bamba_engine_profile(engine.get(), 1);
    if (bamba_engine_threads(engine.get()) < 1
        || bamba_feed(engine.get(), session.get(), prompt.data(), prompt.size(), &logits, &err)
           != BAMBA_OK) throw Failure{ err.code, err.message };
    while (static_cast<int>(out.size()) < n_tokens) {
        out.push_back(bamba_sample(sampler.get(), logits));
        bamba_sampler_accept(sampler.get(), out.back());
        bamba_feed_item item = { session.get(), &out.back(), 1, 1, nullptr, 0, nullptr };
        if (bamba_feed_batch(engine.get(), &item, 1, &err) != BAMBA_OK)
            throw Failure{ err.code, err.message };
        logits = item.logits;
    }
    bamba_op op = { nullptr, 0, 0, 0 };
    if (bamba_engine_profile_get(engine.get(), &op, 1) < 1 || op.name == nullptr
        || bamba_model_count(model.get(), 1, 1, 0, 1, nullptr, 0, nullptr, 0) < 1)
        throw Failure{ BAMBA_ERR_ARGUMENT, "bamba_engine_profile_get" };
    bamba_session_reset(copy.get());
    if (bamba_session_copy(copy.get(), session.get(), &err) != BAMBA_OK
        || bamba_session_position(copy.get()) != prompt.size() + out.size()
        || bamba_session_room(copy.get()) != 0)
        throw Failure{ BAMBA_ERR_ARGUMENT, "bamba_session_copy" };
    return out;
}

std::string describe(const Model &model)
{
    std::string text(bamba_model_describe(model.get(), nullptr, 0) + 1, '\0');
    bamba_model_describe(model.get(), &text[0], text.size());
    text.pop_back();
    return text;
}

void run(const std::string &dir)
{
    bamba_model_options     model_options = BAMBA_MODEL_OPTIONS;
    bamba_tokenizer_options tokenizer_options = BAMBA_TOKENIZER_OPTIONS;
    const std::string       config = dir + "/config.json";

    const Model     plan(make(bamba_model_open_config, config.c_str(), &model_options));
    const Model     model(make(bamba_model_open, dir.c_str(), &model_options));
    const Tokenizer tokenizer(make(bamba_tokenizer_open, dir.c_str(), &tokenizer_options));

    const std::vector<int32_t> prompt = tokenize(tokenizer, "Once upon a time");
    const std::vector<int32_t> told = generate(model, prompt, 40);

    std::size_t n = 0;
    const char *first = bamba_token_text(tokenizer.get(), prompt.front(), &n);
    if (describe(plan) != describe(model) || first == nullptr
        || decode(tokenizer, prompt) != "Once upon a time"
        || bamba_token_is_special(tokenizer.get(), prompt.front())
        || bamba_tokenizer_eos(tokenizer.get()) >= bamba_tokenizer_size(tokenizer.get())
        || bamba_token_find(tokenizer.get(), "no such token", 13) != -1
        || bamba_model_is_end(model.get(), prompt.front()) || bamba_default_threads() < 1
        || bamba_free_memory() == 0 || bamba_cpu_quota() < 0.0
        || bamba_model_peak(model.get()) == BAMBA_LIMIT_READ
        || bamba_model_state_bytes(model.get(), 64) <= bamba_model_state_bytes(model.get(), 0))
        throw Failure{ BAMBA_ERR_FORMAT, "an answer is not what it should be" };
    std::printf("libbamba %s: %s\n", bamba_version(), decode(tokenizer, told).c_str());
}

} // namespace

int main(int argc, char **argv)
{
    try {
        run(argc > 1 ? argv[1] : "models/fable");
        return 0;
    } catch (const Failure &failure) {
        std::fprintf(stderr, "header_cpp: %s: %s\n", bamba_status_string(failure.status),
                     failure.message.c_str());
        return 1;
    }
}
