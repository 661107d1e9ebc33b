/** Models of the Hugging Face hub, kept in the cache that Python's huggingface_hub uses too. */
package org.dolly4j.hub;
