"""The request messages of the Gemini API: field names and types. A table.

`name:type` per field; `[]` marks a repeated field, `{}` a map by string. Lower-case types are scalars (`bytes` is base64,
`object` any JSON object, `any` any JSON value), capitalised ones are messages or enums of this module.

Vertex-only fields are absent, hence unknown, as at the Gemini API; except `labels`, `partialArgs`, `willContinue` and
`streamFunctionCallArguments`, which gateways with Vertex channels pass on.
"""

from __future__ import annotations

ENUMS: dict[str, str] = {
    "Language": "LANGUAGE_UNSPECIFIED PYTHON",
    "Outcome": "OUTCOME_UNSPECIFIED OUTCOME_OK OUTCOME_FAILED OUTCOME_DEADLINE_EXCEEDED",
    "Scheduling": "SCHEDULING_UNSPECIFIED SILENT WHEN_IDLE INTERRUPT",
    "MediaProcessing": "MEDIA_PROCESSING_UNSPECIFIED STATIC AGENTIC",
    "MediaLevel": (
        "MEDIA_RESOLUTION_UNSPECIFIED MEDIA_RESOLUTION_LOW MEDIA_RESOLUTION_MEDIUM MEDIA_RESOLUTION_HIGH "
        "MEDIA_RESOLUTION_ULTRA_HIGH"
    ),
    "MediaResolution": "MEDIA_RESOLUTION_UNSPECIFIED MEDIA_RESOLUTION_LOW MEDIA_RESOLUTION_MEDIUM MEDIA_RESOLUTION_HIGH",
    "ToolType": (
        "TOOL_TYPE_UNSPECIFIED GOOGLE_SEARCH_WEB GOOGLE_SEARCH_IMAGE URL_CONTEXT GOOGLE_MAPS FILE_SEARCH MEDIA_PROCESSING"
    ),
    "HarmCategory": (
        "HARM_CATEGORY_UNSPECIFIED HARM_CATEGORY_HARASSMENT HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_SEXUALLY_EXPLICIT "
        "HARM_CATEGORY_DANGEROUS_CONTENT HARM_CATEGORY_CIVIC_INTEGRITY HARM_CATEGORY_JAILBREAK HARM_CATEGORY_IMAGE_HATE "
        "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT HARM_CATEGORY_IMAGE_HARASSMENT HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT"
    ),
    "HarmThreshold": (
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF"
    ),
    "CallingMode": "MODE_UNSPECIFIED AUTO ANY NONE VALIDATED",
    "ServiceTier": "UNSPECIFIED FLEX STANDARD PRIORITY",
    "TaskType": (
        "TASK_TYPE_UNSPECIFIED RETRIEVAL_QUERY RETRIEVAL_DOCUMENT SEMANTIC_SIMILARITY CLASSIFICATION CLUSTERING "
        "QUESTION_ANSWERING FACT_VERIFICATION CODE_RETRIEVAL_QUERY"
    ),
    "Environment": "ENVIRONMENT_UNSPECIFIED ENVIRONMENT_BROWSER ENVIRONMENT_MOBILE ENVIRONMENT_DESKTOP",
    "Type": "TYPE_UNSPECIFIED STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL",
    "Behavior": "UNSPECIFIED BLOCKING NON_BLOCKING",
    "ThinkingLevel": "THINKING_LEVEL_UNSPECIFIED MINIMAL LOW MEDIUM HIGH XHIGH",
    "Modality": "MODALITY_UNSPECIFIED TEXT IMAGE AUDIO VIDEO",
    "TranscriptionMode": "MODE_UNSPECIFIED VERBATIM SMART",
}

MESSAGES: dict[str, str] = {
    "Request": (
        "contents:Content[] systemInstruction:Content safetySettings:SafetySetting[] tools:Tool[] toolConfig:ToolConfig "
        "generationConfig:GenerationConfig cachedContent:string serviceTier:ServiceTier store:boolean continuationToken:bytes "
        "labels:object model:string"
    ),
    "Content": "parts:Part[] role:string",
    "Part": (
        "text:string inlineData:Blob fileData:FileData functionCall:FunctionCall functionResponse:FunctionResponse "
        "executableCode:ExecutableCode codeExecutionResult:CodeExecutionResult toolCall:ToolCall toolResponse:ToolResponse "
        "thought:boolean thoughtSignature:signature mediaResolution:PartMediaResolution videoMetadata:VideoMetadata "
        "mediaProcessing:MediaProcessing partMetadata:object audioTranscription:object speechMetadata:SpeechMetadata "
        "documentMetadata:object spreadsheetMetadata:object audioMetadata:object"
    ),
    "Blob": "data:bytes mimeType:string displayName:string",
    "FileData": "fileUri:string mimeType:string displayName:string",
    "FunctionCall": "id:string name:string args:object partialArgs:object[] willContinue:boolean",
    "FunctionResponse": (
        "id:string name:string response:object parts:FunctionResponsePart[] scheduling:Scheduling willContinue:boolean"
    ),
    "FunctionResponsePart": (
        "inlineData:Blob fileData:FileData mediaProcessing:MediaProcessing mediaResolution:PartMediaResolution "
        "videoMetadata:VideoMetadata documentMetadata:object spreadsheetMetadata:object audioMetadata:object"
    ),
    "ExecutableCode": "code:string language:Language id:string",
    "CodeExecutionResult": "outcome:Outcome output:string id:string",
    "ToolCall": "id:string toolType:ToolType args:object",
    "ToolResponse": "id:string toolType:ToolType response:object",
    "PartMediaResolution": "level:MediaLevel numTokens:integer",
    "VideoMetadata": "startOffset:string endOffset:string fps:number contentLayers:string[]",
    "SpeechMetadata": "speaker:string style:string",
    "SafetySetting": "category:HarmCategory threshold:HarmThreshold",
    "ToolConfig": (
        "functionCallingConfig:FunctionCallingConfig retrievalConfig:RetrievalConfig includeServerSideToolInvocations:boolean"
    ),
    "FunctionCallingConfig": "mode:CallingMode allowedFunctionNames:string[] streamFunctionCallArguments:boolean",
    "RetrievalConfig": "latLng:LatLng languageCode:string",
    "LatLng": "latitude:number longitude:number",
    "Tool": (
        "functionDeclarations:FunctionDeclaration[] googleSearch:GoogleSearch googleSearchRetrieval:object urlContext:Empty "
        "codeExecution:Empty fileSearch:FileSearch computerUse:ComputerUse googleMaps:GoogleMaps mcpServers:McpServer[]"
    ),
    "Empty": "",
    "GoogleSearch": "searchTypes:SearchTypes timeRangeFilter:Interval",
    "SearchTypes": "webSearch:Empty imageSearch:Empty",
    "Interval": "startTime:string endTime:string",
    "FileSearch": "fileSearchStoreNames:string[] topK:integer metadataFilter:string",
    "ComputerUse": (
        "environment:Environment excludedPredefinedFunctions:string[] enablePromptInjectionDetection:boolean "
        "disabledSafetyPolicies:string[]"
    ),
    "GoogleMaps": "enableWidget:boolean",
    "McpServer": "name:string streamableHttpTransport:McpTransport",
    "McpTransport": "url:string headers:object timeout:string sseReadTimeout:string terminateOnClose:boolean",
    "FunctionDeclaration": (
        "name:string description:string parameters:Schema parametersJsonSchema:object response:Schema "
        "responseJsonSchema:object behavior:Behavior"
    ),
    "Schema": (
        "type:Type title:string description:string format:string nullable:boolean enum:string[] items:Schema "
        "properties:Schema{} required:string[] propertyOrdering:string[] anyOf:Schema[] default:any example:any "
        "minimum:number maximum:number minItems:integer maxItems:integer minLength:integer maxLength:integer "
        "minProperties:integer maxProperties:integer pattern:string"
    ),
    "GenerationConfig": (
        "temperature:number topP:number topK:integer candidateCount:integer maxOutputTokens:integer stopSequences:string[] "
        "seed:integer presencePenalty:number frequencyPenalty:number responseLogprobs:boolean logprobs:integer "
        "responseMimeType:string responseSchema:Schema responseJsonSchema:object responseModalities:Modality[] "
        "imageConfig:ImageConfig thinkingConfig:ThinkingConfig mediaResolution:MediaResolution speechConfig:SpeechConfig "
        "enableEnhancedCivicAnswers:boolean audioTranscriptionConfig:TranscriptionConfig"
    ),
    "ImageConfig": "aspectRatio:string imageSize:string",
    "ThinkingConfig": "includeThoughts:boolean thinkingBudget:integer thinkingLevel:ThinkingLevel",
    "SpeechConfig": "voiceConfig:VoiceConfig languageCode:string multiSpeakerVoiceConfig:MultiSpeakerVoiceConfig",
    "VoiceConfig": "prebuiltVoiceConfig:PrebuiltVoiceConfig replicatedVoiceConfig:object voice:string",
    "PrebuiltVoiceConfig": "voiceName:string",
    "MultiSpeakerVoiceConfig": "speakerVoiceConfigs:SpeakerVoiceConfig[]",
    "SpeakerVoiceConfig": "speaker:string voiceConfig:VoiceConfig",
    "TranscriptionConfig": (
        "languageCodes:string[] languageAuto:Empty languageHints:object customVocabulary:string[] adaptationPhrases:string[] "
        "wordTimestamp:boolean diarization:boolean mode:TranscriptionMode sourceText:string"
    ),
    "CountTokensRequest": (
        "contents:Content[] generateContentRequest:Request systemInstruction:Content tools:Tool[] "
        "generationConfig:GenerationConfig"
    ),
    "EmbedContentRequest": "model:string content:Content taskType:TaskType title:string outputDimensionality:integer",
    "Anything": "contents:Content[] content:Content",
    "BatchEmbedContentsRequest": "requests:EmbedContentRequest[]",
}

# The oneof of a Part: exactly one of these.
PART_DATA = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
]
