package chat

// The known templates. Texts are those that models are published with; what is
// not published is not added.

// The parts that Llama 2's templates are put together from.
const (
	llama2System = `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}`
	llama2None   = `{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}`
	llama2Loop   = `{% for message in loop_messages %}`
	llama2Order  = `{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}`
	llama2First  = `{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}`
	llama2User   = `{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}`
	llama2Later  = `{% elif message['role'] == 'system' %}{{ '<<SYS>>\n' + content.strip() + '\n<</SYS>>\n\n' }}`
	llama2Answer = `{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}`

	llama2Trimmed       = `{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content | trim + ' [/INST]' }}`
	llama2TrimmedLater  = `{% elif message['role'] == 'system' %}{{ '<<SYS>>\n' + content | trim + '\n<</SYS>>\n\n' }}`
	llama2TrimmedAnswer = `{% elif message['role'] == 'assistant' %}{{ ' ' + content | trim + ' ' + eos_token }}{% endif %}{% endfor %}`

	// A dialog of nothing but a system message; no prompt ends that way here.
	llama2Alone = `{% if loop_messages|length == 0 and system_message %}{{ bos_token + '[INST] <<SYS>>\n' + system_message + '\n<</SYS>>\n\n [/INST]' }}{% endif %}`
)

// The text that transformers made for Llama tokenizers without a template of
// their own (LlamaTokenizer.default_chat_template, versions 4.34 to 4.43): with
// the system prompt of July 2023 for dialogs that have none, or without.
const (
	llama2Default   = `{% elif true == true and not '<<SYS>>' in messages[0]['content'] %}{% set loop_messages = messages %}{% set system_message = 'You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe. Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased and positive in nature.\n\nIf a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. If you don\'t know the answer to a question, please don\'t share false information.' %}`
	llama2NoDefault = `{% elif false == true and not '<<SYS>>' in messages[0]['content'] %}{% set loop_messages = messages %}{% set system_message = 'You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe. Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased and positive in nature.\n\nIf a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. If you don\'t know the answer to a question, please don\'t share false information.' %}`
)

// july2023 is that system prompt, which Meta's first examples used.
const july2023 = `You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe. Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased and positive in nature.

If a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. If you don't know the answer to a question, please don't share false information.`

const (
	zephyrText = `{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}`

	chatMLText    = `{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	chatMLShort   = `{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	chatMLDefined = `{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}`
)

var templates = []*Template{
	{
		name: "llama2", format: llama2,
		text: llama2System + llama2None + llama2Loop + llama2Order + llama2First + llama2User + llama2Answer,
		others: []string{
			llama2System + llama2None + llama2Loop + llama2First + llama2User + llama2Answer,
			llama2System + llama2NoDefault + llama2None + llama2Loop + llama2Order + llama2First + llama2User + llama2Later + llama2Answer,
			llama2System + llama2NoDefault + llama2None + llama2Alone + llama2Loop + llama2Order + llama2First + llama2User + llama2Later + llama2Answer,
			llama2System + llama2None + llama2Loop + llama2Order + llama2First + llama2Trimmed + llama2TrimmedAnswer,
			llama2System + llama2NoDefault + llama2None + llama2Loop + llama2Order + llama2First + llama2Trimmed + llama2TrimmedLater + llama2TrimmedAnswer,
		},
	},
	{
		name: "llama2-july2023", format: llama2, system: new(july2023),
		text: llama2System + llama2Default + llama2None + llama2Loop + llama2Order + llama2First + llama2User + llama2Later + llama2Answer,
		others: []string{
			llama2System + llama2Default + llama2None + llama2Alone + llama2Loop + llama2Order + llama2First + llama2User + llama2Later + llama2Answer,
			llama2System + llama2Default + llama2None + llama2Loop + llama2Order + llama2First + llama2Trimmed + llama2TrimmedLater + llama2TrimmedAnswer,
		},
	},
	{name: "zephyr", format: zephyr, text: zephyrText},
	{
		name: "chatml", format: chatML, text: chatMLText,
		others: []string{chatMLDefined + chatMLText, chatMLShort, chatMLDefined + chatMLShort},
	},
}
