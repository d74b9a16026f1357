"""Write a checkpoint of VibeVoice that is too small to speak: 24 million weights by chance, 48 MB. Its own code loads it as any other.

    python tiny_vibevoice.py FOLDER TOKENIZER [--positions N]      for an interpreter that has VibeVoice (inference/run_vibevoice.py)

It hums until its positions are used up: about (N - 80) / 7.5 seconds for a sentence and a voice of three seconds. TOKENIZER is what
preprocessor_config.json names: a folder whose path has "qwen" in it, or a repository of the hub.
"""

import argparse
import json
import os

import torch
from vibevoice.modular.configuration_vibevoice import VibeVoiceConfig
from vibevoice.modular.modeling_vibevoice_inference import VibeVoiceForConditionalGenerationInference

WIDTH = 64
VOCABULARY = 151936  # of Qwen2.5
SPEECH = 151654  # <|vision_pad|>, which stands for a piece of speech
# Of the same make as in VibeVoice-1.5B, with fewer filters and layers: 3200 samples are one piece.
RATIOS = [8, 5, 5, 4, 2, 2]
SOUND = {
    "causal": True,
    "channels": 1,
    "disable_last_norm": True,
    "encoder_depths": "1-1-1-1-1-1-1",
    "encoder_n_filters": 4,
    "encoder_ratios": RATIOS,
    "layernorm": "RMSNorm",
    "mixer_layer": "depthwise_conv",
}


def configuration(positions):
    """The configuration of the model."""
    made = VibeVoiceConfig(
        acoustic_tokenizer_config={
            **SOUND,
            "model_type": "vibevoice_acoustic_tokenizer",
            "decoder_n_filters": 4,
            "decoder_ratios": RATIOS,
            "fix_std": 0.5,
            "std_dist_type": "gaussian",
            "vae_dim": 64,
        },
        semantic_tokenizer_config={
            **SOUND,
            "model_type": "vibevoice_semantic_tokenizer",
            "fix_std": 0,
            "std_dist_type": "none",
            "vae_dim": 128,
        },
        decoder_config={
            "model_type": "qwen2",
            "hidden_size": WIDTH,
            "intermediate_size": 2 * WIDTH,
            "max_position_embeddings": positions,
            "max_window_layers": 2,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e6,
            "tie_word_embeddings": False,
            "vocab_size": VOCABULARY,
        },
        diffusion_head_config={
            "model_type": "vibevoice_diffusion_head",
            "ddpm_beta_schedule": "cosine",
            "head_layers": 1,
            "hidden_size": WIDTH,
            "latent_size": 64,
            "prediction_type": "v_prediction",
            "speech_vae_dim": 64,
        },
        tie_word_embeddings=False,
    )
    made.acoustic_vae_dim, made.semantic_vae_dim = 64, 128
    return made


def make(positions):
    """The model: whatever it is fed, its next token is a piece of speech."""
    torch.manual_seed(0)
    model = VibeVoiceForConditionalGenerationInference(configuration(positions)).eval()
    model.model.speech_scaling_factor.fill_(1.0)  # no numbers in a model that was not trained
    model.model.speech_bias_factor.fill_(0.0)
    with torch.no_grad():  # the first number of each state stays large, and nothing but the token for speech looks at it
        model.model.language_model.embed_tokens.weight[:, 0] = 8.0
        for connector in (model.model.acoustic_connector, model.model.semantic_connector):
            connector.fc2.bias[0] = 8.0
        model.lm_head.weight.zero_()
        model.lm_head.weight[SPEECH, 0] = 5.0
    return model.to(torch.bfloat16)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("tokenizer")
    parser.add_argument("--positions", type=int, default=200)
    chosen = parser.parse_args()
    os.makedirs(chosen.folder, exist_ok=True)
    make(chosen.positions).save_pretrained(chosen.folder, safe_serialization=True)
    processor = {
        "audio_processor": {
            "feature_extractor_type": "VibeVoiceTokenizerProcessor",
            "eps": 1e-06,
            "normalize_audio": True,
            "sampling_rate": 24000,
            "target_dB_FS": -25,
        },
        "db_normalize": True,
        "language_model_pretrained_name": chosen.tokenizer,
        "processor_class": "VibeVoiceProcessor",
        "speech_tok_compress_ratio": 3200,
    }
    with open(os.path.join(chosen.folder, "preprocessor_config.json"), "w") as file:
        json.dump(processor, file)


if __name__ == "__main__":
    main()
